package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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
func (h *harsh) start(t *testing.T, secure bool) *rig {
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
	return newRig(t, nil, func(c *Config) {
		unlogged(c)
		c.Limits.Dial = patience
		i := slices.IndexFunc(c.Upstreams, func(u Upstream) bool { return u.Name == "west" })
		c.Upstreams[i].URL, c.Upstreams[i].TLS = &url.URL{Scheme: scheme, Host: l.Addr().String()}, trust
	})
}

// How servers close an idle connection, from the kindest to the harshest.
var harshWays = map[string]func(net.Conn, *bufio.Reader){
	"after a moment":                func(conn net.Conn, _ *bufio.Reader) { time.Sleep(rand.N(2 * time.Millisecond)) },
	"as the next request comes":     func(conn net.Conn, from *bufio.Reader) { _, _ = from.Peek(1) },
	"as the next request has begun": func(conn net.Conn, from *bufio.Reader) { _, _ = http.ReadRequest(from) },
}

const harshRequests = 150

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
		if method, path, _ := strings.Cut(strings.Split(line, "?")[0], " "); path != uploads && h.taken[method+" "+path] > 1 {
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
			if lost := h.lost(t, h.start(t, false)); lost > 0 {
				t.Errorf("%d of %d were lost", lost, harshRequests)
			}
		})
	}
	const harshest = "as the next request comes"
	t.Run("TLS", func(t *testing.T) {
		h := &harsh{closes: harshWays[harshest]}
		if lost := h.lost(t, h.start(t, true)); lost > 0 {
			t.Errorf("%d of %d were lost", lost, harshRequests)
		}
	})
	t.Run("nothing is sent again", func(t *testing.T) {
		h := &harsh{closes: harshWays[harshest]}
		g := h.start(t, false)
		g.proxy.upstreams["west"].transport.transport.(*lively).within = 0
		if h.lost(t, g) == 0 {
			t.Error("none is lost: the upstream is too kind to show anything")
		}
	})
}

// What broke after it was worked on, or has answered, is not sent again.
func TestWhatIsNotSentAgain(t *testing.T) {
	for name, test := range map[string]struct {
		closes func(net.Conn, *bufio.Reader)
		length int
		within time.Duration
		want   int // requests that are begun
	}{
		"closed at once":            {func(net.Conn, *bufio.Reader) {}, 10, patience, 2},
		"long after":                {func(net.Conn, *bufio.Reader) {}, 10, 0, 1},
		"an answer has begun":       {func(conn net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(conn, "HTTP/1.1 20") }, 10, patience, 1},
		"more than is held is gone": {func(_ net.Conn, from *bufio.Reader) { _, _ = io.CopyN(io.Discard, from, maxHeld+1) }, 4 * maxHeld, patience, 1},
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
			g := h.start(t, false)
			g.proxy.upstreams["west"].transport.transport.(*lively).within = test.within
			g.proxy.upstreams["west"].transport.transport.(*lively).proven.Store(int64(time.Hour))
			g.want(g.do("PATCH "+uploads+"1", strings.NewReader("a")), 202, "west; reason=nearest")
			g.do("PATCH "+uploads+"2", bytes.NewReader(random(test.length)))
			h.mu.Lock()
			defer h.mu.Unlock()
			if got := begun + h.taken["PATCH "+uploads+"2"]; got != test.want {
				t.Errorf("the request was begun %d times, want %d", got, test.want)
			}
		})
	}
}

// A body that cannot be held goes over a connection that has rested only where one has rested for much longer, and none has
// broken since.
func TestRestedConnections(t *testing.T) {
	for name, test := range map[string]struct {
		length         int64
		proven, rested time.Duration
		expect         string
		reused         bool
		fresh, tired   bool // a new one from the beginning; once it is seen which one it is
	}{
		"short":              {length: maxHeld, rested: time.Hour, reused: true},
		"long":               {length: maxHeld + 1, fresh: true},
		"unknown":            {length: -1, fresh: true},
		"proven too little":  {length: -1, proven: minProven - 1, fresh: true},
		"rested for long":    {length: -1, proven: minProven, rested: minProven, reused: true, tired: true},
		"rested for little":  {length: maxHeld + 1, proven: minProven, rested: minProven / 2, reused: true},
		"new":                {length: -1, proven: minProven, rested: minProven},
		"answered before it": {length: -1, rested: time.Hour, reused: true, expect: "100-continue"},
	} {
		var transport resending
		transport.proven.Store(int64(test.proven))
		out := httptest.NewRequest(http.MethodPatch, "/", strings.NewReader("abc"))
		out.ContentLength = test.length
		out.Header.Set("Expect", test.expect)
		a := newAttempt(out, transport.mayRest())
		if fresh := a.mayRest == 0; fresh != test.fresh {
			t.Errorf("%s: a new connection: %v", name, fresh)
		}
		if test.fresh {
			continue
		}
		a.got(httptrace.GotConnInfo{Reused: test.reused, WasIdle: true, IdleTime: test.rested})
		_, err := a.Read(make([]byte, 10))
		if got := errors.Is(err, errRested); got != test.tired || a.mayRepeat(patience) != (got || test.reused) {
			t.Errorf("%s: %v", name, err)
		}
		whole, err := io.ReadAll(&rest{a, 0})
		if string(whole) != "abc" && test.reused || err != nil {
			t.Errorf("%s: %q %v", name, whole, err)
		}
	}
}

// Nothing of a request goes to a connection that has rested for too long: a registry that has seen its fields keeps
// an empty upload, and refuses the same request when it comes again.
func TestNothingIsWrittenToARestedConnection(t *testing.T) {
	var mu sync.Mutex
	begun := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		begun[r.URL.Path]++
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	pool := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	whole(pool)
	ask := func(path string, mayRest time.Duration) (*attempt, error) {
		out, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, server.URL+path, io.MultiReader(strings.NewReader("abc")))
		if err != nil {
			t.Fatal(err)
		}
		out.ContentLength = -1
		a := newAttempt(out, mayRest)
		response, err := pool.RoundTrip(a.request(out))
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		return a, err
	}
	if _, err := ask("/first", never); err != nil {
		t.Fatal(err)
	}
	a, err := ask("/second", time.Nanosecond)
	if err == nil || !a.mayRepeat(0) {
		t.Errorf("on a connection that has rested: %v", err)
	}
	if _, err := ask("/third", never); err != nil {
		t.Error("that connection was used again:", err)
	}
	server.Close() // all that was sent has been read
	if mu.Lock(); begun["/first"] != 1 || begun["/second"] != 0 || begun["/third"] != 1 {
		t.Errorf("begun: %v", begun)
	}
	mu.Unlock()
}

func TestLearningHowLongConnectionsRest(t *testing.T) {
	transport := resending{within: patience}
	for _, step := range []struct {
		reused bool
		rested time.Duration
		err    error
		want   time.Duration
	}{
		{true, time.Second, nil, time.Second},
		{true, time.Millisecond, nil, time.Second},
		{false, time.Minute, nil, time.Second},
		{false, 0, io.EOF, time.Second},
		{true, 3 * time.Second, nil, 3 * time.Second},
		{true, time.Millisecond, io.EOF, 0},
		{true, time.Millisecond, nil, time.Millisecond},
	} {
		a := newAttempt(httptest.NewRequest(http.MethodPatch, "/", nil), 0)
		a.got(httptrace.GotConnInfo{Reused: step.reused, IdleTime: step.rested})
		transport.learn(a, step.err)
		if got := time.Duration(transport.proven.Load()); got != step.want {
			t.Errorf("after %+v: %v", step, got)
		}
	}
}
