package dnsserver

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const (
	// Parts of packets, in hex. A header is ID, flags, QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
	name     = "08" + "7265676973747279" + "07" + "6578616d706c65" + "00" // registry.example
	question = name + "0001" + "0001"
	optEmpty = "00" + "0029" + "04d0" + "00000000" + "0000"
	aRecord  = "c00c" + "0001" + "0001" + "00000000" + "0004" + "01020304"
)

func packet(t testing.TB, parts ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a packet is answered with as a whole: packets that no library would build.
func TestAnswerPackets(t *testing.T) {
	const id = "beef"
	none := -1
	for _, x := range []struct {
		name    string
		packet  []byte
		rcode   int  // none: no reply
		edns    bool // in the reply
		counter string
	}{
		{"empty", nil, none, false, "dropped short"},
		{"11 bytes", packet(t, id, "0000", "0001", "0000", "0000", "00"), none, false, "dropped short"},
		{"a response", packet(t, id, "8000", "0001", "0000", "0000", "0000", question), none, false,
			"dropped response"},
		{"a response that is broken", packet(t, id, "8000", "ffff", "0000", "0000", "0000"), none, false,
			"dropped response"},
		{"plain", packet(t, id, "0000", "0001", "0000", "0000", "0000", question), dns.RcodeSuccess, false,
			"A nearest"},
		{"all the flags a query can have", packet(t, id, "07ff", "0001", "0000", "0000", "0000", question),
			dns.RcodeSuccess,
			false, "A nearest"},
		{"IQUERY", packet(t, id, "0900", "0001", "0000", "0000", "0000", question), dns.RcodeNotImplemented, false,
			"A notimp"},
		{"NOTIFY", packet(t, id, "2100", "0001", "0001", "0000", "0000", question, aRecord), dns.RcodeNotImplemented,
			false,
			"A notimp"},
		{"UPDATE with EDNS", packet(t, id, "2800", "0001", "0000", "0000", "0001", question, optEmpty),
			dns.RcodeNotImplemented, true, "A notimp"},
		{"DSO", packet(t, id, "3000", "0000", "0000", "0000", "0000", "00010000"), dns.RcodeNotImplemented, false,
			"other notimp"},
		{"opcode 15, broken", packet(t, id, "7800", "ffff", "0000", "0000", "0000"), dns.RcodeNotImplemented, false,
			"other notimp"},
		{"a header alone", packet(t, id, "0000", "0000", "0000", "0000", "0000"), dns.RcodeFormatError, false,
			"other formerr"},
		{"no question, EDNS", packet(t, id, "0000", "0000", "0000", "0000", "0001", optEmpty), dns.RcodeFormatError,
			true,
			"other formerr"},
		{"two questions", packet(t, id, "0000", "0002", "0000", "0000", "0000", question, question),
			dns.RcodeFormatError,
			false, "other formerr"},
		{"two questions, EDNS", packet(t, id, "0000", "0002", "0000", "0000", "0001", question, question, optEmpty),
			dns.RcodeFormatError, true, "other formerr"},
		{"the question is missing", packet(t, id, "0000", "0001", "0000", "0000", "0000"), dns.RcodeFormatError, false,
			"other formerr"},
		{"the question is cut in its name", packet(t, id, "0000", "0001", "0000", "0000", "0000", name[:len(name)-4]),
			dns.RcodeFormatError, false, "other formerr"},
		{"the question is cut after its name", packet(t, id, "0000", "0001", "0000", "0000", "0000", name, "0001"),
			dns.RcodeFormatError, false, "other formerr"},
		{"the name points to itself", packet(t, id, "0000", "0001", "0000", "0000", "0000", "c00c", "00010001"),
			dns.RcodeFormatError, false, "other formerr"},
		{"the name points into the header", packet(t, id, "0000", "0001", "0000", "0000", "0000", "0161c000",
			"00010001"),
			dns.RcodeFormatError, false, "other formerr"},
		{"the name points into itself", packet(t, id, "0000", "0001", "0000", "0000", "0000", "0402616100", "c001",
			"00010001"), dns.RcodeFormatError, false, "other formerr"},
		{"a label type that does not exist", packet(t, id, "0000", "0001", "0000", "0000", "0000", "41", "00",
			"00010001"),
			dns.RcodeFormatError, false, "other formerr"},
		{"a name of 255 bytes", packet(t, id, "0000", "0001", "0000", "0000", "0000", strings.Repeat("0161", 127), "00",
			"00010001"), dns.RcodeRefused, false, "A refused"},
		{"a name of 256 bytes", packet(t, id, "0000", "0001", "0000", "0000", "0000", strings.Repeat("0161", 126),
			"026161",
			"00", "00010001"), dns.RcodeFormatError, false, "other formerr"},
		{"a name of any bytes", packet(t, id, "0000", "0001", "0000", "0000", "0000", "05002e5cff22", name, "00010001"),
			dns.RcodeNameError, false, "A nxdomain"},
		{"a record is missing", packet(t, id, "0000", "0001", "0000", "0000", "0001", question), dns.RcodeFormatError,
			false,
			"A formerr"},
		{"a record is cut", packet(t, id, "0000", "0001", "0001", "0000", "0000", question, aRecord[:len(aRecord)-2]),
			dns.RcodeFormatError, false, "A formerr"},
		{"a record's name of 256 bytes", packet(t, id, "0000", "0001", "0001", "0000", "0000", question,
			strings.Repeat("0161", 126), "026161", "00", aRecord[4:]), dns.RcodeFormatError, false, "A formerr"},
		{"records in all sections", packet(t, id, "0000", "0001", "0001", "0001", "0002", question, aRecord, aRecord,
			aRecord,
			optEmpty), dns.RcodeSuccess, true, "A nearest"},
		{"bytes after the end", packet(t, id, "0000", "0001", "0000", "0000", "0000", question, "ffffffff"),
			dns.RcodeSuccess,
			false, "A nearest"},
		{"EDNS after the end", packet(t, id, "0000", "0001", "0000", "0000", "0000", question, optEmpty),
			dns.RcodeSuccess,
			false, "A nearest"},
		{"two OPT", packet(t, id, "0000", "0001", "0000", "0000", "0002", question, optEmpty, optEmpty),
			dns.RcodeFormatError,
			true, "A formerr"},
		{"OPT as an answer", packet(t, id, "0000", "0001", "0001", "0000", "0000", question, optEmpty),
			dns.RcodeFormatError,
			false, "A formerr"},
		{"OPT not of the root", packet(t, id, "0000", "0001", "0000", "0000", "0001", question, "c00c", optEmpty[2:]),
			dns.RcodeFormatError, false, "A formerr"},
		{"an option is cut", packet(t, id, "0000", "0001", "0000", "0000", "0001", question, optEmpty[:len(optEmpty)-4],
			"0005", "000a000800"), dns.RcodeFormatError, true, "A formerr"},
		{"half an option", packet(t, id, "0000", "0001", "0000", "0000", "0001", question, optEmpty[:len(optEmpty)-4],
			"0003",
			"000a00"), dns.RcodeFormatError, true, "A formerr"},
		{"EDNS version 1", packet(t, id, "0000", "0001", "0000", "0000", "0001", question, "00002904d0", "00010000",
			"0000"),
			dns.RcodeBadVers, true, "A badvers"},
		{"EDNS version 1 with what this version would call malformed",
			packet(t, id, "0000", "0001", "0000", "0000", "0001", question, "00002904d0", "00010000", "0003",
				"000a00"), dns.RcodeBadVers, true, "A badvers"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := serving(nil)
			reply := s.Answer(x.packet, netip.MustParseAddr(whoFrom), false)
			s.wantCounter(t, x.counter)
			if reply == nil || x.rcode == none {
				if reply != nil || x.rcode != none {
					t.Fatalf("reply %x, want rcode %d", reply, x.rcode)
				}
				return
			}
			got := unpack(t, reply)
			if got.Id != 0xBEEF || !got.Response || got.Rcode != x.rcode || got.Opcode != int(x.packet[2]>>3&0xF) {
				t.Errorf("got %+v, want rcode %s", got.MsgHdr, dns.RcodeToString[x.rcode])
			}
			if got.Rcode == dns.RcodeNotImplemented && got.RecursionDesired {
				t.Error("RD in an answer to what is no query")
			}
			if (got.IsEdns0() != nil) != x.edns {
				t.Errorf("EDNS: %t, want %t", got.IsEdns0() != nil, x.edns)
			}
			if len(got.Question) == 1 && !bytes.Equal(questionOf(t, reply), questionOf(t, x.packet)) {
				t.Errorf("question of the reply: %x", reply[headerSize:])
			}
		})
	}
}

// questionOf is the question to the byte.
func questionOf(t testing.TB, msg []byte) []byte {
	t.Helper()
	end, err := skipName(msg, headerSize, false)
	if err != nil || len(msg) < end+4 {
		t.Fatalf("no question in %x", msg)
	}
	return msg[headerSize : end+4]
}

func TestReplyEDNS(t *testing.T) {
	s := serving(nil)
	for _, x := range []struct {
		name  string
		flags string // Z of the OPT record, DO its first bit
		do    bool
	}{{"no DO", "0000", false}, {"DO", "8000", true}, {"flags we do not know", "7fff", false}} {
		got := unpack(t, s.Answer(packet(t, "beef", "0000", "0001", "0000", "0000", "0001", question,
			"00", "0029", "ffff", "0000", x.flags, "0000"), netip.Addr{}, false)).IsEdns0()
		if got == nil || got.Version() != 0 || got.UDPSize() != 1232 || got.Do() != x.do || got.Z() != 0 {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, x := range []struct {
		name string
		opt  *opt
		tcp  bool
		want int
	}{
		{"no EDNS", nil, false, 512},
		{"EDNS of less than the least", &opt{udpSize: 100}, false, 512},
		{"the client's", &opt{udpSize: 700}, false, 700},
		{"ours", &opt{udpSize: 4096}, false, 1232},
		{"TCP", &opt{udpSize: 700}, true, 65535},
		{"TCP without EDNS", nil, true, 65535},
	} {
		if got := limit(x.opt, x.tcp); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}
