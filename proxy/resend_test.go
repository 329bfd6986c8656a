package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream"
)

// harsh is an upstream that answers one request on each connection and says that it keeps it, and then closes it.
type harsh struct {
	closes func(conn net.Conn, from *bufio.Reader) // after the first answer

	mu    sync.Mutex
	taken map[string]int // bodies that were read to their end, by method and path
	bad   []string       // whose body is not what was sent
}

func (h *harsh) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			from := bufio.NewReader(conn)
			if h.answer(conn, from) {
				h.closes(conn, from)
			}
		}()
	}
}

func (h *harsh) answer(conn net.Conn, from *bufio.Reader) bool {
	request, err := http.ReadRequest(from)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return false
	}
	h.mu.Lock()
	h.taken[request.Method+" "+request.URL.Path]++
	if want := request.Header.Get("X-Sum"); want != "" && want != sum(body) {
		h.bad = append(h.bad, request.URL.Path)
	}
	h.mu.Unlock()
	_, err = fmt.Fprintf(conn, "HTTP/1.1 202 Accepted\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", request.URL)
	return err == nil
}

func sum(b []byte) string { return fmt.Sprintf("%d %x", len(b), adler(b)) }

func adler(b []byte) (n uint64) {
	for _, c := range b {
		n = n*31 + uint64(c)
	}
	return n
}

// start puts it in the place of west.
func (h *harsh) start(t *testing.T, secure bool, within time.Duration) *rig {
	t.Helper()
	h.taken = map[string]int{}
	server := httptest.NewUnstartedServer(nil)
	l, scheme := server.Listener, "http"
	var trust *tls.Config
	if secure {
		server.StartTLS()
		trust = server.Client().Transport.(*http.Transport).TLSClientConfig
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		l, scheme = tls.NewListener(l, &tls.Config{Certificates: server.TLS.Certificates}), "https"
		t.Cleanup(server.Close)
	}
	t.Cleanup(func() { l.Close() })
	go h.serve(l)
	return newRig(t, nil, func(c *rigConfig) {
		unlogged(c)
		c.way.Dial = within
		i := slices.IndexFunc(c.reach.Endpoints, func(u upstream.Endpoint) bool { return u.Name == "west" })
		c.reach.Endpoints[i].URL, c.reach.Endpoints[i].TLS = &url.URL{Scheme: scheme, Host: l.Addr().String()}, trust
	})
}

// How servers close an idle connection, from the kindest to the harshest.
var harshWays = map[string]func(net.Conn, *bufio.Reader){
	"after a moment":                func(conn net.Conn, _ *bufio.Reader) { time.Sleep(rand.N(2 * time.Millisecond)) },
	"as the next request comes":     func(conn net.Conn, from *bufio.Reader) { _, _ = from.Peek(1) },
	"as the next request has begun": func(conn net.Conn, from *bufio.Reader) { _, _ = http.ReadRequest(from) },
}

const harshRequests = 150

// maxHeld is how much of a body is held to be sent again.
const maxHeld = 72 << 10

// lost sends requests of each kind that change something, with bodies of all sizes, and counts those that fail.
func (h *harsh) lost(t *testing.T, g *rig) (lost int) {
	t.Helper()
	for i := range harshRequests {
		body := random(rand.N(20_000))
		switch {
		case i%25 == 0:
			body = random(4 * maxHeld)
		case i%10 == 0:
			body = random(maxHeld * 3 / 4)
		}
		path := fmt.Sprintf("%s%d?fairlead-replica=west", uploads, i)
		lines := []string{"PATCH " + path, "PATCH " + path, "PUT " + path, "DELETE " + path, "POST " + uploads}
		line := lines[i%len(lines)]
		var in io.Reader = bytes.NewReader(body)
		switch i % len(lines) {
		case 1:
			in = struct{ io.Reader }{in} // of unknown length
		case 3, 4:
			in, body = nil, nil
		}
		got := g.do(line, in, "X-Sum: "+sum(body))
		if got.err != nil || got.status != http.StatusAccepted {
			lost++
		}
		h.mu.Lock()
		if method, path, _ := strings.Cut(strings.Split(line, "?")[0], " "); path != uploads &&
			h.taken[method+" "+path] > 1 {
			t.Errorf("%s was done %d times", line, h.taken[method+" "+path])
		}
		h.mu.Unlock()
	}
	if len(h.bad) > 0 {
		t.Errorf("%d bodies came to harm: %v", len(h.bad), h.bad)
	}
	return lost
}

func TestNothingIsLostOnAnIdleConnection(t *testing.T) {
	t.Parallel()
	for name, closes := range harshWays {
		t.Run(name, func(t *testing.T) {
			h := &harsh{closes: closes}
			if lost := h.lost(t, h.start(t, false, patience)); lost > 0 {
				t.Errorf("%d of %d were lost", lost, harshRequests)
			}
		})
	}
	const harshest = "as the next request comes"
	t.Run("TLS", func(t *testing.T) {
		h := &harsh{closes: harshWays[harshest]}
		if lost := h.lost(t, h.start(t, true, patience)); lost > 0 {
			t.Errorf("%d of %d were lost", lost, harshRequests)
		}
	})
	t.Run("nothing is sent again", func(t *testing.T) {
		h := &harsh{closes: harshWays[harshest]}
		g := h.start(t, false, 0)
		if h.lost(t, g) == 0 {
			t.Error("none is lost: the upstream is too kind to show anything")
		}
	})
}

// What broke after it was worked on, or has answered, is not sent again.
func TestWhatIsNotSentAgain(t *testing.T) {
	for name, test := range map[string]struct {
		closes func(net.Conn, *bufio.Reader)
		within time.Duration
		want   int // requests that are begun
	}{
		"closed at once": {func(net.Conn, *bufio.Reader) {}, patience, 2},
		"long after":     {func(net.Conn, *bufio.Reader) {}, 0, 1},
		"an answer has begun": {func(conn net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(conn, "HTTP/1.1 20") },
			patience, 1},
	} {
		t.Run(name, func(t *testing.T) {
			begun := 0
			h := &harsh{}
			h.closes = func(conn net.Conn, from *bufio.Reader) {
				request, err := http.ReadRequest(from)
				if err != nil {
					return
				}
				h.mu.Lock()
				begun++
				h.mu.Unlock()
				test.closes(conn, bufio.NewReader(request.Body))
			}
			g := h.start(t, false, test.within)
			g.want(g.do("PATCH "+uploads+"1", strings.NewReader("a")), 202, "west; reason=nearest")
			g.do("PATCH "+uploads+"2", bytes.NewReader(random(10)))
			h.mu.Lock()
			defer h.mu.Unlock()
			if got := begun + h.taken["PATCH "+uploads+"2"]; got != test.want {
				t.Errorf("the request was begun %d times, want %d", got, test.want)
			}
		})
	}
}
