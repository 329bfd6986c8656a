package dnsserver

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// seeds are queries of every kind that is answered differently.
func seeds(t testing.TB) [][]byte {
	var out [][]byte
	for _, words := range []string{
		"registry.example A", "ReGistry.example AAAA", "registry.example SOA", "registry.example NS",
		"registry.example ANY",
		"registry.example AXFR", "westus.registry.example A", "x.registry.example A", "whoami.registry.example TXT",
		"example A", ". NS", "registry.example TXT CH",
	} {
		m := ask(words)
		out = append(out, wire(t, m))
		clientSubnet("10.4.4.0/24")(m)
		out = append(out, wire(t, m))
	}
	m := ask("registry.example A")
	edns(100, "8:0002380020010db8000400", "10:0011223344556677", "12:000000")(m)
	m.IsEdns0().SetDo()
	return append(out, wire(t, m),
		packet(t, "beef", "0000", "0001", "0000", "0000", "0002", question, optEmpty, optEmpty),
		packet(t, "beef", "0000", "0001", "0001", "0001", "0001", question, aRecord, aRecord, optEmpty),
		packet(t, "beef", "0000", "0001", "0000", "0000", "0000", "05002e5cff22", name, "00010001"),
		packet(t, "beef", "7800", "ffff", "ffff", "ffff", "ffff"))
}

// wantValidReply is what every reply must be, whatever the packet.
func wantValidReply(t *testing.T, s *Server, msg []byte, overTCP bool) {
	t.Helper()
	reply := s.Answer(msg, netip.MustParseAddr("10.1.2.3"), overTCP)
	if len(msg) < headerSize || isResponse(msg) {
		if reply != nil {
			t.Fatalf("%x got a reply", msg)
		}
		return
	}
	got := unpack(t, reply)
	if got.Id != binary.BigEndian.Uint16(msg) || !got.Response {
		t.Fatalf("%x: reply of another ID, or a query: %v", msg, got.MsgHdr)
	}
	q, _ := parse(msg)
	if len(reply) > limit(q.opt, overTCP) {
		t.Fatalf("%x: reply of %d bytes, limit %d", msg, len(reply), limit(q.opt, overTCP))
	}
	if len(got.Question) == 1 && !bytes.Equal(questionOf(t, reply), questionOf(t, msg)) {
		t.Fatalf("%x: another question came back: %x", msg, reply)
	}
	if (got.IsEdns0() != nil) != (q.opt != nil) {
		t.Fatalf("%x: EDNS in the reply: %t", msg, got.IsEdns0() != nil)
	}
	if got.Rcode == dns.RcodeSuccess && len(got.Answer) == 0 && len(got.Ns) == 0 && !got.Truncated {
		t.Fatalf("%x: NODATA without SOA: %v", msg, got)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, false)
		f.Add(b, true)
	}
	s := serving(nil).Server
	f.Fuzz(func(t *testing.T, msg []byte, overTCP bool) {
		if len(msg) <= dns.MaxMsgSize {
			wantValidReply(t, s, msg, overTCP)
		}
	})
}

// 10,000 packets: noise, and queries with some bytes changed, cut or added.
func TestAnswerHostilePackets(t *testing.T) {
	s := serving(nil)
	from := seeds(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		msg := noise(r, r.IntN(600))
		if i%4 != 0 {
			msg = mutated(r, from[r.IntN(len(from))])
		}
		wantValidReply(t, s.Server, msg, i%2 == 0)
	}
	var sum float64
	for _, n := range s.counters(t) {
		sum += n
	}
	if sum != 10_000 {
		t.Errorf("%v packets counted: %v", sum, s.counters(t))
	}
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func mutated(r *rand.Rand, seed []byte) []byte {
	b := bytes.Clone(seed)
	for range 1 + r.IntN(4) {
		switch at := r.IntN(len(b)); r.IntN(4) {
		case 0:
			b = b[:max(at, 1)]
		case 1:
			b = append(b, noise(r, r.IntN(40))...)
		default:
			b[at] = byte(r.Uint32())
		}
	}
	return b
}
