package dnsserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/ipv6"
)

// udpServing runs a UDP server until the test ends.
func udpServing(t *testing.T, s *Server, listen string) *net.UDPAddr {
	t.Helper()
	conn, err := net.ListenPacket("udp", listen)
	if err != nil {
		t.Skipf("SKIP: no UDP on %s here: %v", listen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeUDP(ctx, conn.(*net.UDPConn)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ServeUDP: %v", err)
		}
		if _, err := conn.WriteTo([]byte("x"), conn.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket is left open: %v", err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr)
}

// overUDP asks an address and takes a reply from that address only, as a connected socket does.
func overUDP(t *testing.T, to *net.UDPAddr, query []byte) []byte {
	t.Helper()
	c, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(query); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 65536)
	n, err := c.Read(reply)
	if err != nil {
		t.Fatalf("asking %v: %v", to, err)
	}
	return reply[:n]
}

func TestServeUDP(t *testing.T) {
	for _, x := range []struct{ name, listen, to string }{
		{"one address", "127.0.0.1:0", "127.0.0.1"},
		{"another address of a wildcard socket", "0.0.0.0:0", "127.0.0.5"},
		{"IPv4 at a wildcard socket of both families", "[::]:0", "127.0.0.5"},
		{"IPv6", "[::1]:0", "::1"},
		{"IPv6 at a wildcard socket", "[::]:0", "::1"},
	} {
		t.Run(x.name, func(t *testing.T) {
			addr := udpServing(t, serving(nil).Server, x.listen)
			addr.IP = net.ParseIP(x.to)
			got := unpack(t, overUDP(t, addr, wire(t, ask("registry.example A"))))
			same(t, "answer", records(got.Answer), []string{"registry.example. 300 A 203.0.113.10"})
		})
	}
}

// What gets no reply, and packets longer than any query, do not disturb the queries after them.
func TestServeUDPGarbage(t *testing.T) {
	s := serving(nil)
	addr := udpServing(t, s.Server, "127.0.0.1:0")
	c, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, b := range [][]byte{{}, {1}, packet(t, "beef", "8000", "0001", "0000", "0000", "0000", question)} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	long := append(packet(t, "beef", "0000", "0001", "0001", "0000", "0000", question, "0000010001", "00000000",
		"ea60"),
		make([]byte, 60000)...)
	if got := unpack(t, overUDP(t, addr, long)); got.Rcode != 1 {
		t.Errorf("rcode %d of a packet that is longer than we read, want FORMERR", got.Rcode)
	}
	if got := unpack(t, overUDP(t, addr, wire(t, ask("registry.example A")))); len(got.Answer) != 1 {
		t.Errorf("no answer: %v", got)
	}
}

// A host's loopback has one IPv6 address, so that the source of replies proves nothing there.
func TestDestinationIPv6(t *testing.T) {
	conn, err := net.ListenUDP("udp6", nil)
	if err != nil {
		t.Skipf("SKIP: no IPv6 here: %v", err)
	}
	defer conn.Close()
	if err := wantDestination(conn); err != nil {
		t.Fatal(err)
	}
	c, err := net.DialUDP("udp6", nil, &net.UDPAddr{IP: net.IPv6loopback, Port: conn.LocalAddr().(*net.UDPAddr).Port})
	if err != nil {
		t.Skipf("SKIP: no IPv6 here: %v", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	oob := make([]byte, oobSize())
	_, n, _, _, err := conn.ReadMsgUDP(make([]byte, 1), oob)
	if err != nil {
		t.Fatal(err)
	}
	var in6 ipv6.ControlMessage
	if err := in6.Parse(sourceFrom(oob[:n])); err != nil || !in6.Dst.Equal(net.IPv6loopback) {
		t.Errorf("the reply would leave from %v: %v", in6.Dst, err)
	}
}

func TestServeUDPManyAtOnce(t *testing.T) {
	addr := udpServing(t, serving(nil).Server, "127.0.0.1:0")
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 20 {
				if got := unpack(t, overUDP(t, addr, wire(t, ask("registry.example A")))); len(got.Answer) != 1 {
					t.Errorf("no answer: %v", got)
				}
			}
		})
	}
	clients.Wait()
}

func TestServeUDPClosedByOthers(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := serving(nil).ServeUDP(t.Context(), conn); err == nil {
		t.Error("no error")
	}
}

// brokenConn fails to read and write as often as it is told, then brings one query and is silent
// until it is closed.
type brokenConn struct {
	query  []byte
	closed chan struct{}

	// Guarded by mu.
	mu      sync.Mutex
	reads   int
	written int
	asked   bool
}

func (c *brokenConn) ReadMsgUDPAddrPort(b, _ []byte) (int, int, int, netip.AddrPort, error) {
	c.mu.Lock()
	fail, first := c.reads > 0, !c.asked
	if fail {
		c.reads--
	} else {
		c.asked = true
	}
	c.mu.Unlock()
	switch {
	case fail:
		return 0, 0, 0, netip.AddrPort{}, syscall.ENOBUFS
	case first:
		return copy(b, c.query), 0, 0, netip.MustParseAddrPort("10.1.2.3:5353"), nil
	}
	<-c.closed
	return 0, 0, 0, netip.AddrPort{}, net.ErrClosed
}

func (c *brokenConn) WriteMsgUDPAddrPort(b, _ []byte, _ netip.AddrPort) (int, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written++
	return 0, 0, syscall.EPERM
}

func TestUDPErrorsThatPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serving(nil)
		conn := &brokenConn{query: wire(t, ask("registry.example A")), closed: make(chan struct{}), reads: 100}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.udpWorkers(ctx, conn) }()
		time.Sleep(5 * time.Minute) // of the bubble's clock: all pauses are over
		synctest.Wait()
		if conn.written != 1 {
			t.Errorf("%d replies", conn.written)
		}
		if got := s.counters(t); got["dropped read"] != 100 || got["dropped write"] != 1 || got["A nearest"] != 1 {
			t.Errorf("counters %v", got)
		}
		cancel()
		close(conn.closed)
		if err := <-done; err != nil {
			t.Errorf("udpWorkers: %v", err)
		}
	})
}
