package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is when a test gives up.
const patience = 2 * time.Minute

// A body of which more was read than is held is not sent again, though its connection broke.
func TestWhatIsLongIsNotSentAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var begun atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go breakInASecondBody(conn, &begun)
		}
	}()
	transports := New(Config{
		Dial: patience, Patience: patience, Alive: func(string, time.Time) {},
		Endpoints: []Endpoint{{Name: "west", URL: &url.URL{Scheme: "http", Host: l.Addr().String()}}},
	})
	defer transports.Close()
	transports.to["west"].transport.transport.(*observing).proven.Store(int64(time.Hour))
	patch := func(body []byte) error {
		to := transports.Reach("west")
		out, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, to.URL.String()+"/v2/",
			bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := to.Transport.RoundTrip(out)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := patch([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := patch(make([]byte, 4*maxHeld)); err == nil || begun.Load() != 2 {
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

// A body that cannot be held goes over a connection that has rested only where one has rested for much longer, and none
// has broken since.
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
	useFramedConns(pool)
	ask := func(path string, mayRest time.Duration) (*attempt, error) {
		out, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, server.URL+path,
			io.MultiReader(strings.NewReader("abc")))
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
	if _, err := ask("/first", anyTime); err != nil {
		t.Fatal(err)
	}
	a, err := ask("/second", time.Nanosecond)
	if err == nil || !a.mayRepeat(0) {
		t.Errorf("on a connection that has rested: %v", err)
	}
	if _, err := ask("/third", anyTime); err != nil {
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
		transport.noteRested(a, step.err)
		if got := time.Duration(transport.proven.Load()); got != step.want {
			t.Errorf("after %+v: %v", step, got)
		}
	}
}
