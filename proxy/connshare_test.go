package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// shared is for so many connections, of which one client has a part. What is unused may go soon.
func shared(most int, part float64) *ConnLimiter {
	l := NewConnLimiter(most, part, 1<<20, prometheus.NewRegistry())
	l.young = 200 * time.Millisecond
	return l
}

// dialFrom opens a connection from an address of loopback.
func (l *limited) dialFrom(ip, before string) net.Conn {
	l.t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := from.DialContext(l.t.Context(), "tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, before)
	return conn
}

// status is that of the answer to one request.
func (l *limited) status(conn net.Conn, path string) int {
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	return response.StatusCode
}

// busy has connections whose requests are under way, until the test ends.
func (l *limited) busy(n int, dial func() net.Conn) {
	l.t.Helper()
	for range n {
		conn := dial()
		go l.status(conn, "/waits")
		await(l.t, l.arrived, "a request")
	}
}

// counts are the connections within shares and beyond them.
func (l *limited) counts() (open, over, clients int) {
	l.limiter.mu.Lock()
	defer l.limiter.mu.Unlock()
	for _, of := range l.limiter.share.of {
		open, over, clients = open+of.open, over+of.over, clients+1
	}
	if over != l.limiter.share.over {
		l.t.Errorf("%d beyond shares, counted as %d", over, l.limiter.share.over)
	}
	return open, over, clients
}

const alicesIP, bobsIP = "127.0.0.2", "127.0.0.3"

// TestOneClientHasAShareOfConnections: one that is busy on all of its own gets an answer to one more and then nothing,
// while others are served, and nothing of it stays counted.
func TestOneClientHasAShareOfConnections(t *testing.T) {
	t.Parallel()
	l := newShared(t, shared(10, 0.6), false)
	l.busy(6, func() net.Conn { return l.dialFrom(alicesIP, "") })
	beyond := []net.Conn{l.dialFrom(alicesIP, ""), l.dialFrom(alicesIP, "")}
	for began := time.Now(); ; <-time.After(time.Millisecond) {
		if _, over, _ := l.counts(); over == 2 {
			break
		}
		if time.Since(began) > patience {
			t.Fatal("none is beyond the share")
		}
	}
	if got := l.status(l.dialFrom(alicesIP, ""), "/"); got != 0 {
		t.Errorf("many beyond the share: %d", got)
	}
	if n := testutil.ToFloat64(l.limiter.share.refused); n != 1 {
		t.Errorf("%v were counted as refused", n)
	}
	if got := l.status(l.dialFrom(bobsIP, ""), "/"); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
	for _, conn := range beyond {
		if got := l.status(conn, "/"); got != http.StatusTooManyRequests {
			t.Errorf("beyond the share: %d", got)
		}
	}
	l.goOn <- true
	if got := l.status(l.dialFrom(alicesIP, ""), "/"); got != http.StatusOK {
		t.Errorf("with room again: %d", got)
	}
	close(l.goOn)
	l.server.Close()
	if open, over, clients := l.counts(); open+over+clients != 0 {
		t.Errorf("%d within, %d beyond, of %d clients, when all are closed", open, over, clients)
	}
}

// TestAClientsIdleConnectionsMakeRoomForItsOwn: and for nobody else's while there is room.
func TestAClientsIdleConnectionsMakeRoomForItsOwn(t *testing.T) {
	t.Parallel()
	l := newShared(t, shared(10, 0.4), false)
	other := l.dialFrom(bobsIP, "")
	if got := l.status(other, "/"); got != http.StatusOK {
		t.Fatal(got)
	}
	l.busy(1, func() net.Conn { return l.dialFrom(alicesIP, "") })
	for i := range 12 {
		if got := l.status(l.dialFrom(alicesIP, ""), "/"); got != http.StatusOK {
			t.Errorf("connection %d: %d", i, got)
		}
	}
	if got := l.status(other, "/"); got != http.StatusOK {
		t.Error("another client's idle connection was closed")
	}
	close(l.goOn)
}

// TestATrustedProxyIsNoClient: its connections are nobody's, but for those that a PROXY header gives to a client.
func TestATrustedProxyIsNoClient(t *testing.T) {
	t.Parallel()
	l := newShared(t, shared(10, 0.2), false, netip.MustParsePrefix(bobsIP+"/32"))
	l.busy(4, func() net.Conn { return l.dialFrom(bobsIP, "") })
	if open, over, _ := l.counts(); open+over != 0 {
		t.Errorf("%d count as a client's", open+over)
	}
	const header = "PROXY TCP4 192.0.2.%d 192.0.2.100 1 2\r\n"
	l.busy(2, func() net.Conn { return l.dialFrom(bobsIP, fmt.Sprintf(header, 1)) })
	for client, want := range map[int]int{1: http.StatusTooManyRequests, 2: http.StatusOK} {
		if got := l.status(l.dialFrom(bobsIP, fmt.Sprintf(header, client)), "/"); got != want {
			t.Errorf("192.0.2.%d: %d", client, got)
		}
	}
	close(l.goOn)
}

// TestBeyondTheShareOverHTTP2: the answer is whole there, too.
func TestBeyondTheShareOverHTTP2(t *testing.T) {
	t.Parallel()
	l := newShared(t, shared(10, 0.1), true)
	ask := func(path string) int {
		transport := &http.Transport{TLSClientConfig: l.trust.Clone(), ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + l.address + path)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer response.Body.Close()
		if text, err := io.ReadAll(response.Body); err != nil ||
			response.StatusCode != http.StatusOK && !strings.Contains(string(text), "TOOMANYREQUESTS") {
			t.Errorf("%q %v", text, err)
		}
		return response.StatusCode
	}
	first := make(chan int)
	go func() { first <- ask("/waits") }()
	await(t, l.arrived, "the request")
	if got := ask("/"); got != http.StatusTooManyRequests {
		t.Error(got)
	}
	close(l.goOn)
	if got := await(t, first, "the answer"); got != http.StatusOK {
		t.Error(got)
	}
	if got := ask("/"); got != http.StatusOK {
		t.Errorf("with room again: %d", got)
	}
}

// A connection that was closed before its client was known counts as nobody's.
func TestClosedBeforeItIsKnown(t *testing.T) {
	limiter := NewConnLimiter(10, 0.5, 1<<20, prometheus.NewRegistry())
	for range 20 {
		near, far := net.Pipe()
		defer far.Close()
		limiter.slots <- struct{}{}
		c := &boundConn{Conn: near, limiter: limiter}
		_ = c.Close()
		_ = c.admit(t.Context(), netip.MustParseAddr("192.0.2.1"), nil)
	}
	limiter.mu.Lock()
	defer limiter.mu.Unlock()
	if limiter.share.over != 0 || len(limiter.share.of) != 0 {
		t.Errorf("%d beyond their share, of %d clients", limiter.share.over, len(limiter.share.of))
	}
}
