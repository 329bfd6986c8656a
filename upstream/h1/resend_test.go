package h1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is when a test gives up.
const patience = 2 * time.Minute

// newClient dials whatever the request names.
func newClient(t *testing.T) *Client {
	c := &Client{
		Dial: (&net.Dialer{}).DialContext, HandshakeTimeout: patience, MaxConns: 8, MaxIdle: 8,
		IdleTimeout: patience, ContinueTimeout: patience, Within: patience,
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// serve answers each connection in a goroutine.
func serve(t *testing.T, answer func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return "http://" + l.Addr().String()
}

// patch sends a body; a length of -1 hides it.
func patch(t *testing.T, c *Client, url string, body []byte, length int64) error {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url, io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	out.ContentLength = length
	response, err := c.RoundTrip(out)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return err
}

// pools makes every pool know how long connections may rest.
func (c *Client) prove(rest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools {
		p.noteRested(rest, false)
	}
}

// A body of which more was read than is held is not sent again, though its connection broke.
func TestWhatIsLongIsNotSentAgain(t *testing.T) {
	var begun atomic.Int32
	url := serve(t, func(conn net.Conn) { breakInASecondBody(conn, &begun) })
	c := newClient(t)
	if err := patch(t, c, url, []byte("a"), 1); err != nil {
		t.Fatal(err)
	}
	c.prove(time.Hour)
	if err := patch(t, c, url, make([]byte, 4*maxHeld), 4*maxHeld); err == nil || begun.Load() != 2 {
		t.Errorf("%v; %d requests were begun, want 2", err, begun.Load())
	}
}

// breakInASecondBody answers the first request on a connection, and closes it in the middle of the second.
func breakInASecondBody(conn net.Conn, begun *atomic.Int32) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	first, err := http.ReadRequest(from)
	if err != nil {
		return
	}
	begun.Add(1)
	_, _ = io.Copy(io.Discard, first.Body)
	_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
	second, err := http.ReadRequest(from)
	if err != nil {
		return
	}
	begun.Add(1)
	_, _ = io.CopyN(io.Discard, second.Body, maxHeld+1)
}

// What was put on a connection in the moment in which that was closed is sent once more, as a whole.
func TestSentAgain(t *testing.T) {
	for _, test := range []struct {
		method string
		length int64 // as it is said
		proven time.Duration
		want   bool
	}{
		{"GET", 0, 0, true},
		{"PATCH", 3, 0, true},
		{"PATCH", -1, time.Hour, true},
		{"PATCH", -1, 0, false}, // it takes a new connection, which breaks as well
		{"DELETE", 0, 0, true},
	} {
		var conns atomic.Int32
		var last atomic.Value
		url := serve(t, func(conn net.Conn) {
			defer conn.Close()
			n, from := conns.Add(1), bufio.NewReader(conn)
			for i := 0; ; i++ {
				r, err := http.ReadRequest(from)
				if err != nil || n == 1 && i == 1 || !test.want && n > 1 { // it breaks without a word
					return
				}
				body, _ := io.ReadAll(r.Body)
				last.Store(string(body))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		c := newClient(t)
		ask := func() error {
			if test.length != 0 {
				return patch(t, c, url, []byte("abc"), test.length)
			}
			out, _ := http.NewRequestWithContext(t.Context(), test.method, url, nil)
			response, err := c.RoundTrip(out)
			if err == nil {
				response.Body.Close()
			}
			return err
		}
		if err := patch(t, c, url, []byte("x"), 1); err != nil {
			t.Fatal(err)
		}
		if test.proven > 0 {
			c.prove(test.proven)
		}
		err := ask()
		if (err == nil) != test.want || conns.Load() != 2 {
			t.Errorf("%+v: %v, over %d connections", test, err, conns.Load())
		}
		if got, _ := last.Load().(string); test.want && test.length != 0 && got != "abc" {
			t.Errorf("%+v: %q came", test, got)
		}
	}
}

// A body that cannot be held goes over a connection that has rested only where one has rested for much longer, and none
// has broken since.
func TestRestedConnections(t *testing.T) {
	for name, test := range map[string]struct {
		length         int64
		proven, rested time.Duration
		expect         string
		reused         bool
	}{
		"short":              {length: maxHeld, rested: time.Hour, reused: true},
		"long":               {length: maxHeld + 1},
		"unknown":            {length: -1},
		"proven too little":  {length: -1, proven: minProven - 1},
		"rested for long":    {length: -1, proven: minProven, rested: minProven},
		"rested for little":  {length: maxHeld + 1, proven: time.Hour, rested: time.Minute, reused: true},
		"answered before it": {length: -1, rested: time.Hour, reused: true, expect: "100-continue"},
	} {
		c := newClient(t)
		c.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }
		p := c.poolOf(mustURL(t, "http://west"))
		if test.proven > 0 {
			p.noteRested(test.proven, false)
		}
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		rested := &conn{line: &line{Conn: near}, pool: p, idle: time.Now().Add(-test.rested)}
		rested.Conn, rested.in = rested.line, bufio.NewReader(rested.line)
		p.idle, p.open = []*conn{rested}, 1
		out, _ := http.NewRequest(http.MethodPatch, "http://west", strings.NewReader("abc"))
		out.ContentLength = test.length
		out.Header.Set("Expect", test.expect)
		mayRest := time.Duration(math.MaxInt64)
		if !newOutgoing(out).fits() {
			mayRest = p.restOfLong()
		}
		got, err := p.take(t.Context(), mayRest)
		if (got == rested) != test.reused || (err == nil) != test.reused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLearningHowLongConnectionsRest(t *testing.T) {
	var p pool
	for _, step := range []struct {
		rested time.Duration
		broke  bool
		want   time.Duration
	}{
		{time.Second, false, time.Second},
		{time.Millisecond, false, time.Second},
		{3 * time.Second, false, 3 * time.Second},
		{time.Millisecond, true, 0},
		{time.Millisecond, false, time.Millisecond},
	} {
		p.noteRested(step.rested, step.broke)
		if p.proven != step.want {
			t.Errorf("after %+v: %v", step, p.proven)
		}
	}
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
