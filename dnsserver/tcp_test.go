package dnsserver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// tcpServing runs a TCP server until the test ends.
func tcpServing(t *testing.T, s *Server) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeTCP(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ServeTCP: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is left open: %v", err)
		}
	})
	return l.Addr()
}

func dial(t *testing.T, addr net.Addr) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func framed(msgs ...[]byte) []byte {
	var out []byte
	for _, m := range msgs {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(m))), m...)
	}
	return out
}

func send(t *testing.T, c io.Writer, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, r io.Reader) *dns.Msg {
	t.Helper()
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return unpack(t, b)
}

// wantClosed waits for the end of a connection; whether it is orderly depends on what was unread.
func wantClosed(t *testing.T, r io.Reader) {
	t.Helper()
	n, err := r.Read(make([]byte, 1))
	if n > 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the connection closed: %d bytes, %v", n, err)
	}
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		t.Errorf("the connection is still open: %v", err)
	}
}

// Several queries in one write, and one query in many, answered in order. They are so many because a
// bound on their number would close the connection with input unread: the reset loses replies.
func TestServeTCPPipelined(t *testing.T) {
	c := dial(t, tcpServing(t, serving(nil).Server))
	var queries [][]byte
	for i := range 600 {
		m := ask("registry.example A")
		m.Id = uint16(i)
		queries = append(queries, wire(t, m))
	}
	send(t, c, framed(queries...))
	for b := range slices.Chunk(framed(queries...), 7) {
		send(t, c, b)
	}
	for i := range 1200 {
		if got := receive(t, c); got.Id != uint16(i%600) || len(got.Answer) != 1 {
			t.Fatalf("reply %d: %v", i, got)
		}
	}
}

// A client that is done sending still gets every reply.
func TestServeTCPHalfClosed(t *testing.T) {
	c := dial(t, tcpServing(t, serving(nil).Server))
	q := wire(t, ask("registry.example A"))
	send(t, c, framed(q, q, q))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		receive(t, c)
	}
	wantClosed(t, c)
}

// What has no reply ends its connection, and no other.
func TestServeTCPGarbage(t *testing.T) {
	s := serving(nil)
	addr := tcpServing(t, s.Server)
	other := dial(t, addr)
	for _, x := range []struct {
		name  string
		bytes []byte
		half  bool // the client ends its side, so the rest will never come
	}{
		{"an empty message", framed(nil), false},
		{"a response", framed(packet(t, "beef", "8000", "0001", "0000", "0000", "0000", question)), false},
		{"half a length", []byte{0}, true},
		{"half a message", framed(wire(t, ask("registry.example A")))[:9], true},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), true},
		{"nothing", nil, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := dial(t, addr)
			send(t, c, x.bytes)
			if x.half {
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			wantClosed(t, c)
		})
	}
	send(t, other, framed(packet(t, "beef", "0000", "0000", "0000", "0000", "0000"),
		wire(t, ask("registry.example A"))))
	if got := receive(t, other); got.Rcode != dns.RcodeFormatError {
		t.Errorf("want FORMERR: %v", got)
	}
	if got := receive(t, other); len(got.Answer) != 1 {
		t.Errorf("want an answer on the same connection: %v", got)
	}
}

// One connection more than there may be closes the one that has been quiet for longest.
func TestServeTCPTooMany(t *testing.T) {
	s := serving(nil)
	addr := tcpServing(t, s.Server)
	q := framed(wire(t, ask("registry.example A")))
	var all []*net.TCPConn
	for range MostConns {
		c := dial(t, addr)
		send(t, c, q)
		receive(t, c)
		all = append(all, c)
	}
	first, second := all[0], all[1]
	send(t, first, q) // now the second is the quietest
	receive(t, first)
	for _, c := range []*net.TCPConn{dial(t, addr), first} {
		send(t, c, q)
		receive(t, c)
	}
	wantClosed(t, second)
	s.wantDropped(t, "dropped busy", 1)
}

func (f fixture) wantDropped(t *testing.T, name string, n float64) {
	t.Helper()
	if got := f.counters(t)[name]; got != n {
		t.Errorf("%s: %v, want %v", name, got, n)
	}
}

// pipeListener is a listener whose connections are made by the test; it fails as often as it is told
// before each.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	fails  int // owned by Accept
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if l.fails > 0 {
		l.fails--
		return nil, syscall.EMFILE
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// inBubble runs a server on a listener whose clock is the bubble's.
func inBubble(t *testing.T, fails int, test func(t *testing.T, s fixture, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		s, l := serving(nil), newPipeListener()
		l.fails = fails
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.ServeTCP(ctx, l) }()
		test(t, s, l)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ServeTCP: %v", err)
		}
	})
}

// How long a connection lives that sends nothing, or a byte at a time.
func TestServeTCPSlow(t *testing.T) {
	q := framed(wire(t, ask("registry.example A")))
	for _, x := range []struct {
		name   string
		before int           // complete queries first
		every  time.Duration // then a byte
		lives  time.Duration
	}{
		{"silent", 0, 0, idleTimeout},
		{"silent after queries", 3, 0, idleTimeout},
		{"a byte and no more", 0, time.Hour, messageTimeout},
		{"a byte a second", 0, time.Second, messageTimeout},
		{"a byte a second after queries", 2, time.Second, messageTimeout},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ fixture, l *pipeListener) {
				c := l.dial()
				defer c.Close()
				for range x.before {
					send(t, c, q)
					receive(t, c)
				}
				start := time.Now()
				var trickle sync.WaitGroup
				defer trickle.Wait()
				if x.every > 0 {
					trickle.Go(func() {
						for i := range q {
							if _, err := c.Write(q[i : i+1]); err != nil {
								return
							}
							time.Sleep(x.every)
						}
					})
				}
				wantClosed(t, c)
				if got := time.Since(start); got != x.lives {
					t.Errorf("closed after %v, want %v", got, x.lives)
				}
			})
		})
	}
}

// A client that never reads its replies is not waited for.
func TestServeTCPNeverReads(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, s fixture, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		start := time.Now()
		send(t, c, framed(wire(t, ask("registry.example A"))))
		if err := c.SetDeadline(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte{0}); err == nil {
			t.Error("the connection is still read from")
		}
		if got := time.Since(start); got != messageTimeout {
			t.Errorf("closed after %v, want %v", got, messageTimeout)
		}
		synctest.Wait()
		s.wantDropped(t, "dropped write", 1)
	})
}

// The end does not wait for idle clients.
func TestServeTCPEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- serving(nil).ServeTCP(ctx, l) }()
		idle, half := l.dial(), l.dial()
		send(t, half, []byte{0})
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(start) > 0 {
			t.Errorf("ended after %v: %v", time.Since(start), err)
		}
		wantClosed(t, idle)
		wantClosed(t, half)
	})
}

// Nor does an end that others brought about, which is an error.
func TestServeTCPClosedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		done := make(chan error, 1)
		go func() { done <- serving(nil).ServeTCP(t.Context(), l) }()
		idle := l.dial()
		synctest.Wait()
		start := time.Now()
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) || time.Since(start) > 0 {
			t.Errorf("ended after %v: %v", time.Since(start), err)
		}
		wantClosed(t, idle)
	})
}

func TestServeTCPAcceptErrorsThatPass(t *testing.T) {
	inBubble(t, 40, func(t *testing.T, s fixture, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		send(t, c, framed(wire(t, ask("registry.example A"))))
		receive(t, c)
		s.wantDropped(t, "dropped read", 40)
	})
}

func TestPeer(t *testing.T) {
	c, other := net.Pipe()
	defer c.Close()
	defer other.Close()
	if got := peer(c); got != (netip.Addr{}) {
		t.Errorf("a pipe has the address %v", got)
	}
}
