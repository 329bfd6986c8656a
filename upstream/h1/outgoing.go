package h1

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxHeld is how much of a body is held until there is an answer, in bytes: what is handed over before a write can
// fail.
const maxHeld = 72 << 10

// outgoing is the body of a request. What was read of it is held as long as it may have to be sent again: once more, on
// a new connection, where the one that it was put on turns out to have been closed (docs/adr/018).
type outgoing struct {
	// Static.
	body   io.ReadCloser // nil: none
	length int64         // -1: not known
	expect bool          // the server says first whether it wants the body

	reading sync.Mutex // Held while the body is read: a read may outlive the attempt that began it.

	mu    sync.Mutex
	now   *attempt // whoever else still reads gives way to it. Guarded by mu, as all below.
	hold  bool
	held  []byte    // what was read, while hold is set
	lost  bool      // some of what was read is not held
	ended bool      // it has been read to its end
	last  time.Time // when a connection was got for it, or some of it was read
	err   error     // of reading it, but for its end: no fault of the server
}

func newOutgoing(r *http.Request) *outgoing {
	o := &outgoing{}
	if r.Body == nil || r.Body == http.NoBody {
		return o
	}
	o.body, o.length = r.Body, r.ContentLength
	if o.length == 0 {
		o.length = -1 // as for all clients of net/http
	}
	o.expect = hasToken(r.Header["Expect"], "100-continue")
	return o
}

// fits reports whether all of it can be held, or need not be.
func (o *outgoing) fits() bool {
	return o.body == nil || 0 <= o.length && o.length <= maxHeld || o.expect
}

// begin is told that a connection was got, and whether it may turn out to be closed. A second attempt is always on a
// new one, and the last: what it reads need not be held, and may move itself (passes).
func (o *outgoing) begin(mayBeClosed bool, now time.Time) *attempt {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hold, o.last, o.now = mayBeClosed, now, &attempt{of: o}
	return o.now
}

// repeatable reports whether all that was read of it is at hand, and was handed over less than within ago: what breaks
// later was being worked on.
func (o *outgoing) repeatable(within time.Duration, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.lost && o.err == nil && now.Sub(o.last) < within
}

func (o *outgoing) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *outgoing) close() {
	if o.body != nil {
		_ = o.body.Close()
	}
}

// attempt reads a body from its beginning, for one connection.
type attempt struct {
	of *outgoing
	at int // of what is held
}

// errGaveWay ends an attempt after which another has begun.
var errGaveWay = errors.New("the request is sent again")

// errBodyShort is a body that ends before its length.
var errBodyShort = errors.New("the request's body is shorter than its length")

// Read gives what is held first.
func (a *attempt) Read(p []byte) (int, error) {
	o := a.of
	o.reading.Lock()
	defer o.reading.Unlock()
	o.mu.Lock()
	n, ended, gaveWay := copy(p, o.held[min(a.at, len(o.held)):]), o.ended, o.now != a
	o.mu.Unlock()
	a.at += n
	switch {
	case gaveWay:
		return 0, errGaveWay
	case n > 0:
		return n, nil
	case ended:
		return 0, io.EOF
	}
	n, err := o.body.Read(p)
	a.keep(p[:n], err)
	return n, err
}

// keep holds what was read. What came while another attempt began is that one's.
func (a *attempt) keep(read []byte, err error) {
	o := a.of
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.ended = time.Now(), errors.Is(err, io.EOF)
	if err != nil && !o.ended {
		o.err = err
	}
	switch {
	case o.now != a, o.hold && !o.lost && len(o.held)+len(read) <= maxHeld:
		o.held = append(o.held, read...)
		a.at += len(read)
	default:
		o.lost, o.held = o.lost || len(read) > 0, nil
	}
}

// passes reports whether nothing of the body has to be held any more, and nobody else reads it: it can take another way
// than Read.
func (a *attempt) passes() bool {
	o := a.of
	o.reading.Lock()
	defer o.reading.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now == a && a.at >= len(o.held) && (!o.hold || o.lost) && !o.ended
}
