package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// limited is a server with few connections. A request to /waits ends when the test says so, one to /tls is told whether
// it came so.
type limited struct {
	t       *testing.T
	limiter *ConnLimiter
	server  *http.Server
	address string
	inner   net.Listener
	trust   *tls.Config // nil: clear text
	arrived chan bool
	goOn    chan bool
}

func newLimited(t *testing.T, most int, secure bool, trusted ...netip.Prefix) *limited {
	t.Helper()
	return newShared(t, NewConnLimiter(most, 1, 1<<20, prometheus.NewRegistry()), secure, trusted...)
}

func newShared(t *testing.T, limiter *ConnLimiter, secure bool, trusted ...netip.Prefix) *limited {
	t.Helper()
	l := &limited{t: t, limiter: limiter, arrived: make(chan bool), goOn: make(chan bool)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// as exchange.admit does
		if conn := connOf(r); conn == nil || !conn.admit(r.Context(), addrOf(r.RemoteAddr), trusted) {
			w.Header().Set("Connection", "close")
			writeError(w, tooManyConns.status, tooManyConns.error)
			return
		}
		switch r.URL.Path {
		case "/waits":
			l.arrived <- true
			<-l.goOn
		case "/tls":
			fmt.Fprint(w, r.TLS != nil)
		}
	})
	var offered *tls.Config
	if secure {
		s := httptest.NewTLSServer(nil)
		t.Cleanup(s.Close)
		offered = s.TLS
		l.trust = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		l.trust.ServerName, l.trust.NextProtos = "example.com", nil
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := NewServer(handler, offered, l.limiter, Memory{}, DefaultLimits().silence, log)
	go func() {
		_ = s.Serve(Listener(inner, offered, l.limiter, func() []netip.Prefix { return trusted }, log))
	}()
	t.Cleanup(func() { _ = s.Close() })
	l.server, l.address, l.inner = s, inner.Addr().String(), inner
	return l
}

func (l *limited) dial() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.address)
	if err == nil && l.trust != nil {
		conn = tls.Client(conn, l.trust)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// asks reports whether a connection is answered.
func (l *limited) asks(conn net.Conn, path string) bool {
	l.t.Helper()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return err == nil && response.StatusCode == http.StatusOK
}

func (l *limited) shed() int { return int(testutil.ToFloat64(l.limiter.shed)) }

// TestIdleConnectionsMakeRoom: where there is no room, whoever has been idle for longest goes, and no request under
// way does.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	for _, secure := range []bool{false, true} {
		l := newLimited(t, 3, secure)
		busy, answered := l.dial(), make(chan bool)
		go func() { answered <- l.asks(busy, "/waits") }()
		await(t, l.arrived, "the request")
		first := l.dial()
		if !l.asks(first, "/") {
			t.Fatal("there is room")
		}
		for range 6 {
			if !l.asks(l.dial(), "/") {
				t.Fatal("no room was made")
			}
		}
		if l.asks(first, "/") {
			t.Error("who was idle for longest is still there")
		}
		l.goOn <- true
		if !await(t, answered, "the answer") || !l.asks(busy, "/") {
			t.Error("a connection with a request under way was closed")
		}
		if n := l.shed(); n < 5 || n > 7 {
			t.Errorf("%d were closed for 8 connections", n)
		}
	}
}

// TestHTTP2MakesRoom: there a connection counts as idle before its first request and before the end of its last
// answer has left.
func TestHTTP2MakesRoom(t *testing.T) {
	l := newLimited(t, 2, true)
	for range 6 {
		transport := &http.Transport{TLSClientConfig: l.trust.Clone(), ForceAttemptHTTP2: true}
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + l.address + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		t.Cleanup(transport.CloseIdleConnections)
		if response.ProtoMajor != 2 || response.StatusCode != http.StatusOK {
			t.Error(response.Proto, response.StatusCode)
		}
	}
	if l.shed() < 4 {
		t.Errorf("%d were closed for 6", l.shed())
	}
}

// TestSilentConnectionsMakeRoom: the same for those that never asked anything, which is what TLS handshakes that do
// not end come to.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	for _, secure := range []bool{false, true} {
		l := newLimited(t, 3, secure)
		for range 10 {
			if conn, err := net.Dial("tcp", l.address); err == nil {
				t.Cleanup(func() { conn.Close() })
			}
		}
		if !l.asks(l.dial(), "/") || l.shed() < 7 {
			t.Errorf("silent ones shut others out; %d were closed", l.shed())
		}
	}
}

// TestWhereAllAreBusyTheNextOneWaits: until a request ends; whose connection then goes.
func TestWhereAllAreBusyTheNextOneWaits(t *testing.T) {
	l := newLimited(t, 2, false)
	answered := make(chan bool)
	for range 2 {
		conn := l.dial()
		go func() { answered <- l.asks(conn, "/waits") }()
		await(t, l.arrived, "a request")
	}
	next := make(chan bool)
	conn := l.dial()
	go func() { next <- l.asks(conn, "/") }()
	if n := l.shed(); n > 0 || len(l.limiter.slots) != 2 {
		t.Errorf("%d were closed, of %d", n, len(l.limiter.slots))
	}
	l.goOn <- true
	if !await(t, answered, "an answer") || !await(t, next, "who waited") {
		t.Error("not answered")
	}
	l.goOn <- true
	if !await(t, answered, "an answer") {
		t.Error("not answered")
	}
}

// TestNoSlotStaysTaken: all that were let in leave, however they end, and a listener that is closed waits no more.
func TestNoSlotStaysTaken(t *testing.T) {
	l := newLimited(t, 4, false)
	for range 20 {
		conn := l.dial()
		l.asks(conn, "/")
		conn.Close()
		l.dial().Close()
	}
	if !l.asks(l.dial(), "/") {
		t.Error("not answered")
	}
	// The last one's, and that of Accept.
	for began := time.Now(); len(l.limiter.slots) > 2; <-time.After(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d slots are taken", len(l.limiter.slots))
		}
	}
	full := NewConnLimiter(1, 1, 1<<20, prometheus.NewRegistry())
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bound := full.bound(inner, nil)
	full.slots <- struct{}{}
	ended := make(chan error)
	go func() {
		_, err := bound.Accept()
		ended <- err
	}()
	bound.Close()
	if err := await(t, ended, "Accept"); err == nil {
		t.Error("no error")
	}
}

// TestRefusalIsReadToItsEnd: who still sends when he is refused gets the whole answer, and no reset in its place.
func TestRefusalIsReadToItsEnd(t *testing.T) {
	for before, trusted := range map[string][]netip.Prefix{
		"":                                       nil,
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n": {netip.MustParsePrefix("127.0.0.0/8")},
	} {
		conn := newLimited(t, 3, false, trusted...).dial()
		go func() {
			_, _ = fmt.Fprintf(conn, "%sGET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", before,
				strings.Repeat("x", 200_000))
		}()
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
			t.Errorf("behind %q: %q, %v", before, answer, err)
		}
	}
}
