package upstream

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// resending sends a request once more where its upstream closed an idle connection in the moment in which the request
// was put on it. net/http does so for what only reads (docs/adr/018).
type resending struct {
	pool   *http.Transport
	fresh  *http.Transport // each request has a connection of its own
	within time.Duration   // of the last byte handed over: what breaks later was being worked on
	proven atomic.Int64    // nanoseconds: a connection that had rested for so long was open, and none has broken since
}

func newResending(pool *http.Transport, within time.Duration) *resending {
	fresh := pool.Clone()
	fresh.DisableKeepAlives = true
	return &resending{pool: pool, fresh: fresh, within: within}
}

func (t *resending) CloseIdleConnections() { t.pool.CloseIdleConnections() }

func (t *resending) RoundTrip(out *http.Request) (*http.Response, error) {
	if out.Method == http.MethodGet || out.Method == http.MethodHead {
		return t.pool.RoundTrip(out)
	}
	a := newAttempt(out, t.mayRest())
	if a.mayRest == 0 {
		return t.fresh.RoundTrip(out)
	}
	response, err := t.pool.RoundTrip(a.request(out))
	t.noteRested(a, err)
	if err == nil || out.Context().Err() != nil || !a.mayRepeat(t.within) {
		a.giveUp()
		return response, err
	}
	again := out.WithContext(out.Context())
	if a.body != nil {
		again.Body, again.GetBody = &rest{a, 0}, nil
	}
	return t.fresh.RoundTrip(again)
}

// mayRest is how long a connection may have rested that gets a body which cannot be held: half of what is known to be
// safe, since servers close after the same time each.
func (t *resending) mayRest() time.Duration {
	if proven := time.Duration(t.proven.Load()); proven >= minProven {
		return proven / 2
	}
	return 0
}

// noteRested learns from what became of a connection that had rested.
func (t *resending) noteRested(a *attempt, err error) {
	a.mu.Lock()
	reused, rested := a.reused && !a.tired, int64(a.rested)
	a.mu.Unlock()
	switch {
	case !reused:
	case err == nil:
		if known := t.proven.Load(); rested > known {
			t.proven.CompareAndSwap(known, rested)
		}
	case a.mayRepeat(t.within):
		t.proven.Store(0)
	}
}

// anyTime is for a connection that may have rested for however long.
const anyTime = time.Duration(math.MaxInt64)

const (
	// maxHeld is how much of a body is held until there is an answer, in bytes: what net/http reads before a write can
	// fail, which is its write buffer of 4 KiB and a copy of 32, and as much again.
	maxHeld = 72 << 10
	// minProven is less than servers wait for. One that is not known to wait for so long closes when it likes.
	minProven = time.Second
)

var errRested = errors.New("the connection has rested for too long")

// attempt is a request, and what was read of its body, on a connection that may turn out to be dead.
type attempt struct {
	// Static after newAttempt.
	body    io.ReadCloser // nil: none
	mayRest time.Duration // the connection; 0: it must be a new one

	answered atomic.Bool // some byte came back

	reading sync.Mutex // Held while the body is read: net/http may leave a read of one byte behind.

	mu     sync.Mutex
	reused bool // the connection. Guarded by mu, as all below.
	rested time.Duration
	last   time.Time // when it was got, or some of the body was
	held   []byte    // what was read of the body, unless that is too much
	over   bool      // it is too much
	ended  bool
	failed bool // the body, no fault of the connection
	tired  bool // nothing was written to the connection, which had rested for too long
	closed bool
	left   bool // closing it closes the body
}

func newAttempt(out *http.Request, mayRest time.Duration) *attempt {
	a := &attempt{mayRest: anyTime}
	if out.Body != http.NoBody {
		a.body = out.Body
	}
	short := 0 <= out.ContentLength && out.ContentLength <= maxHeld
	if a.body != nil && !short && out.Header.Get("Expect") == "" { // which has an answer before the body goes
		a.mayRest = mayRest
	}
	return a
}

func (a *attempt) request(out *http.Request) *http.Request {
	out = out.WithContext(httptrace.WithClientTrace(out.Context(), &httptrace.ClientTrace{
		GotConn:              a.got,
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}))
	if a.body != nil {
		out.Body, out.GetBody = a, nil
	}
	return out
}

func (a *attempt) got(on httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reused, a.rested, a.last = on.Reused, on.IdleTime, time.Now()
	a.tired = on.Reused && on.IdleTime > a.mayRest
	if c, ok := on.Conn.(*framedConn); ok && a.tired {
		c.spend(errRested)
	}
}

// mayRepeat reports whether a connection that had been idle broke before any answer, and all that was taken of the body
// is at hand.
func (a *attempt) mayRepeat(within time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	broke := a.reused && !a.answered.Load() && time.Since(a.last) < within
	return a.tired || broke && !a.over && !a.failed
}

func (a *attempt) Read(p []byte) (int, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	if a.isTired() {
		return 0, errRested
	}
	n, err := a.body.Read(p)
	a.keep(p[:n], err)
	return n, err
}

func (a *attempt) isTired() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tired
}

func (a *attempt) keep(read []byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last, a.ended = time.Now(), errors.Is(err, io.EOF)
	a.failed = err != nil && !a.ended
	switch {
	case !a.reused || a.over:
	case len(a.held)+len(read) > maxHeld:
		a.held, a.over = nil, true
	default:
		a.held = append(a.held, read...)
	}
}

// Close leaves the body open for another attempt, until there is to be none.
func (a *attempt) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if !a.left {
		return nil
	}
	return a.body.Close()
}

// giveUp gives the body up to whoever reads it now.
func (a *attempt) giveUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = true
	if a.closed {
		_ = a.body.Close()
	}
}

// rest is the whole body once more: what an attempt has held, and what it has not read.
type rest struct {
	of *attempt
	at int
}

func (r *rest) Read(p []byte) (int, error) {
	r.of.reading.Lock()
	defer r.of.reading.Unlock()
	r.of.mu.Lock()
	n, ended := copy(p, r.of.held[r.at:]), r.of.ended
	r.of.mu.Unlock()
	r.at += n
	switch {
	case n > 0:
		return n, nil
	case ended:
		return 0, io.EOF
	}
	return r.of.body.Read(p)
}

func (r *rest) Close() error { return r.of.body.Close() }
