package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// hostileSent is how many requests, and how many packets.
func hostileSent() int { return few(2_000, 10_000) }

// hostileSeed makes a run repeatable: the same bytes come in the same order over each connection.
const hostileSeed = 20261121

// TestHostile sends garbage, and what is nearly right, to both listeners. Afterwards everything must still answer,
// and nothing but the registry API may have been reached.
func TestHostile(t *testing.T) {
	var upstreams []*fake
	var registries []*registry
	for range splitReplicas {
		upstream := startFake(t, onlyOneManifest)
		upstreams = append(upstreams, upstream)
		registries = append(registries, &registry{address: upstream.address})
	}
	replicas := withUpstreams(splitReplicas, registries)
	g := startGateway(t, "gateway", "127.0.0.1", file{health: "{fronts: false}", networks: splitNetworks,
		replicas: replicas})

	t.Run("requests", func(t *testing.T) { hostileHTTP(t, g, upstreams) })
	t.Run("packets", func(t *testing.T) { hostileDNS(t, g) })

	if g.ended() {
		t.Fatal("the gateway has ended")
	}
	g.adminText(t, "/healthz")
	g.adminText(t, "/readyz")
	if code, _, err := get(g.url()+"/v2/app/manifests/v1", nil); code != http.StatusOK {
		t.Errorf("a pull afterwards: status %d, %v", code, err)
	}
	for _, transport := range []string{"udp", "tcp"} {
		if answer, err := askDNS(transport, g.dns, hostname, dns.TypeA, "127.0.2.0/24"); err != nil ||
			len(answer.Answer) != 1 {
			t.Errorf("a query over %s afterwards: %v, %v", transport, answer, err)
		}
	}
	t.Logf("figure: afterwards: %d goroutines", int(g.metric(t, "go_goroutines")))
}

func onlyOneManifest(r *http.Request) int {
	if strings.HasSuffix(r.URL.Path, "/manifests/v1") && r.Method == http.MethodGet {
		return http.StatusOK
	}
	return http.StatusNotFound
}

func hostileHTTP(t *testing.T, g *gateway, upstreams []*fake) {
	const workers = 64 // more than processors: the server lingers before it closes on a bad request
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(hostileSeed, uint64(w)))
			for range hostileSent() / workers {
				sent := hostileRequest(random)
				if err := sendAndClose(g.listen, sent); err != nil {
					t.Errorf("after %.300q: %v", sent, err)
					return
				}
			}
		})
	}
	all.Wait()
	var seen []string
	for _, upstream := range upstreams {
		seen = append(seen, upstream.seen()...)
	}
	for _, uri := range seen {
		if !inRegistryAPI(uri) {
			t.Errorf("reached the registry beyond its API: %q", uri)
		}
	}
	t.Logf("figure: %d requests; %d different URIs reached the registry", hostileSent(), len(seen))
	if len(seen) < hostileSent()/400 {
		t.Errorf("only %d got through: the requests are not nearly right enough to show anything", len(seen))
	}
}

// inRegistryAPI: as a registry reads it, decoded once, and cleaned or not.
func inRegistryAPI(uri string) bool {
	u, err := url.ParseRequestURI(uri)
	if err != nil || u.Host != "" {
		return false
	}
	p := path.Clean(u.Path)
	return (p == "/v2" || strings.HasPrefix(p, "/v2/")) && !strings.Contains(u.Path+"/", "/../")
}

// sendAndClose sends all and reads until the gateway closes. That it does, within a bound, is what is asked of it.
func sendAndClose(address string, sent []byte) error {
	conn, err := net.DialTimeout("tcp", address, patient(startBound))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patient(startBound))); err != nil {
		return err
	}
	// The gateway may refuse and close before it has read all: an error of writing says nothing.
	if _, err := conn.Write(sent); err == nil {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	_, err = io.Copy(io.Discard, conn)
	if netErr, ok := err.(net.Error); ok && netErr.Timeout() {
		return fmt.Errorf("the connection was neither answered nor closed within %v", patient(startBound))
	}
	return nil
}

// Parts that requests are made of.
var (
	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI", "get",
		"G\x00T"}
	paths = []string{
		"/v2/", "/v2", "/", "*", "/v2/_catalog", "/v2/app/manifests/v1", "/v2/app/tags/list?n=1",
		"/v2/app/blobs/uploads/",
		"/v2/app/blobs/uploads/1?fairlead-replica=westus",
		"/v2/app/blobs/uploads/1?fairlead-replica=nobody&fairlead-replica=eastus",
		"/v2/app/blobs/uploads/1?fairlead-replica=%2e%2e%2f", "/v2/app/referrers/sha256:00", "/v2/../metrics",
		"/v2/%2e%2e/metrics",
		"/v2/..%2fmetrics", "/v2/%252e%252e/metrics", "/v2//../debug/pprof/", "//v2/../metrics", "/v2/./../metrics",
		"/v2/..\\metrics",
		"/metrics", "/debug/pprof/", "/healthz", "/v3/", "/v2app/manifests/v1", "http://127.0.0.1:1/metrics",
		"http://elsewhere.test/v2/",
		"/v2/;/../metrics", "/v2/%00", "/v2/app/../../metrics", "/v2/" + strings.Repeat("a/", 400) + "manifests/v1",
		"/v2/%zz/",
	}
	headers = []string{
		"Host: registry.example.test", "Host: eastus.registry.example.test", "Host: ../..", "Host: ",
		"Host: a\r\nHost: b",
		"Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999",
		"Content-Length: 5\r\nContent-Length: 6",
		"Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3", "Transfer-Encoding: xchunked",
		"Expect: 100-continue",
		"Connection: upgrade\r\nUpgrade: h2c", "Connection: close, Authorization", "X-Forwarded-For: 127.0.2.7",
		"Range: bytes=0-0,1-1",
		"Authorization: Basic \xff", "Cookie: " + strings.Repeat("c", 5000), "X: " + strings.Repeat("h", 70<<10),
		" folded", "No-Colon", "\x00: \x00",
		"Content-Range: 5-1", "Accept: " + strings.Repeat("a/b,", 500),
	}
	bodies = []string{"", "hello", "5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "0\r\nX: y\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"}
)

func hostileRequest(random *rand.Rand) []byte {
	switch random.IntN(8) {
	case 0:
		return append(randomBytes(random, 1+random.IntN(400)), "\r\n\r\n"...)
	case 1:
		return randomBytes(random, random.IntN(2000))
	case 2, 3, 4: // a good request with a path that is nearly good
		return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", pick(random, methods),
			nearly(random, pick(random, paths)), hostname)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", pick(random, methods), pick(random, paths))
	for range 1 + random.IntN(3) {
		b.WriteString(pick(random, headers) + "\r\n")
	}
	b.WriteString("\r\n" + pick(random, bodies))
	request := []byte(b.String())
	if random.IntN(2) == 0 {
		return request
	}
	return mutate(random, request)
}

// nearly changes a few characters of a path to others that matter in paths.
func nearly(random *rand.Rand, path string) string {
	const special = "./%2eEfF5cC\\;?&=:@+-_~a0"
	b := []byte(path)
	for range random.IntN(4) {
		i := 1 + random.IntN(len(b))
		b = append(b[:i:i], append([]byte{special[random.IntN(len(special))]}, b[i:]...)...)
	}
	return string(b)
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// mutate changes, inserts, doubles or cuts a few bytes.
func mutate(random *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + random.IntN(4) {
		if len(b) < 2 {
			return b
		}
		i := random.IntN(len(b))
		switch random.IntN(4) {
		case 0:
			b[i] ^= 1 << random.IntN(8)
		case 1:
			b = append(b[:i:i], append(randomBytes(random, 1+random.IntN(8)), b[i:]...)...)
		case 2:
			b = append(b[:i:i], append(bytes.Clone(b[i:min(len(b), i+16)]), b[i:]...)...)
		case 3:
			b = append(b[:i:i], b[min(len(b), i+1+random.IntN(8)):]...)
		}
	}
	return b
}

func hostileDNS(t *testing.T, g *gateway) {
	random := rand.New(rand.NewPCG(hostileSeed, 1000))
	conn, err := net.Dial("udp", g.dns)
	must(t, err)
	defer conn.Close()
	replies := 0
	for i := range hostileSent() * 4 / 5 {
		sent := hostilePacket(random)
		_, _ = conn.Write(sent) // refused only while nobody listens, which the queries below notice
		if i%50 == 0 {
			replies += stillAnswers(t, g, conn)
		}
	}
	t.Logf("figure: %d packets over UDP, %d replies to them", hostileSent()*4/5, replies)
	for range hostileSent() / 5 {
		sent := hostilePacket(random)
		if random.IntN(4) > 0 { // a right length before what is wrong
			sent = append(binary.BigEndian.AppendUint16(nil, uint16(len(sent))), sent...)
		}
		if err := sendAndClose(g.dns, sent); err != nil {
			t.Fatalf("after %x over TCP: %v", sent, err)
		}
	}
	t.Run("responses", func(t *testing.T) { noReplyToResponses(t, g, random) })
}

// stillAnswers asks properly over the same socket, until it is answered: packets may have been dropped from a full
// buffer. It returns how many replies to other packets came before.
func stillAnswers(t *testing.T, g *gateway, conn net.Conn) (others int) {
	t.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(hostname), dns.TypeA)
	packed, err := query.Pack()
	must(t, err)
	waitFor(t, startBound, "an answer among garbage", func() error {
		if g.ended() {
			t.Fatal("the gateway has ended")
		}
		if _, err := conn.Write(packed); err != nil {
			return err
		}
		n, err := readUntil(conn, query.Id)
		others += n
		return err
	})
	return others
}

// readUntil reads replies up to the one with an answer and this id, and counts the others.
func readUntil(conn net.Conn, id uint16) (others int, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return others, err
		}
		var reply dns.Msg
		if reply.Unpack(buf[:n]) == nil && reply.Id == id && len(reply.Answer) == 1 {
			return others, nil
		}
		others++
	}
}

// noReplyToResponses: a packet with QR set gets none, or two servers could be set to answer each other for ever.
func noReplyToResponses(t *testing.T, g *gateway, random *rand.Rand) {
	conn, err := net.Dial("udp", g.dns)
	must(t, err)
	defer conn.Close()
	for range 20 {
		for range 10 {
			sent := hostilePacket(random)
			if len(sent) < 12 {
				continue
			}
			sent[2] |= 0x80
			_, err := conn.Write(sent)
			must(t, err)
		}
		if n := stillAnswers(t, g, conn); n > 0 {
			t.Fatalf("%d replies to packets with QR set", n)
		}
	}
}

func hostilePacket(random *rand.Rand) []byte {
	if random.IntN(4) == 0 {
		return randomBytes(random, random.IntN(600))
	}
	names := []string{hostname, "whoami." + hostname, "eastus." + hostname, "nobody." + hostname, "example.test", ".",
		strings.Repeat("a.", 100)}
	q := new(dns.Msg).SetQuestion(dns.Fqdn(pick(random, names)), uint16(random.IntN(300)))
	q.Id = uint16(random.Uint32())
	q.SetEdns0(uint16(random.IntN(1<<16)), random.IntN(2) == 0)
	q.IsEdns0().Option = []dns.EDNS0{
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(random.IntN(33)),
			Address: net.IP(randomBytes(random, 4))},
		&dns.EDNS0_LOCAL{Code: uint16(random.IntN(20)), Data: randomBytes(random, random.IntN(40))},
	}
	packed, err := q.Pack()
	if err != nil {
		return randomBytes(random, 40)
	}
	if random.IntN(4) == 0 {
		return packed
	}
	return mutate(random, packed)
}
