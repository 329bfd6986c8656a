package tlsbuf

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// output keeps records back while more are to come, so that they leave in one call. It has a buffer only then.
type output struct {
	to net.Conn // static
	// How long the socket may take nothing before writing fails. 0: that is for the deadlines of who writes.
	silence atomic.Int64

	mu        sync.Mutex
	gathering bool              // between gather and release
	leaving   bool              // what is held is being written
	held      *[bufferSize]byte // nil: nothing is held. While leaving it is that one's who writes
	n         int               // of held
	late      []byte            // came while leaving
	failed    error             // all writes to come
}

// lateMost bounds what TLS says of itself (alerts, new keys) while a client takes nothing.
const lateMost = 4 << 10

var errTooLate = errors.New("a client that takes nothing asks for more and more")

// gather keeps back what is written from now on, until release, if there is a buffer for it.
func (o *output) gather() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held, o.gathering = buffers.get(), true
}

// release has all that was kept back leave.
func (o *output) release() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gathering = false
	o.leave()
	if o.held != nil {
		buffers.put(o.held)
		o.held = nil
	}
	return o.failed
}

// write never waits for records that another one has leave: TLS says goodbye while they wait for a client.
func (o *output) write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.failed != nil:
		return 0, o.failed
	case o.leaving && len(o.late)+len(p) > lateMost:
		return 0, errTooLate
	case o.leaving:
		o.late = append(o.late, p...)
		return len(p), nil
	case !o.gathering:
		o.mu.Unlock()
		defer o.mu.Lock()
		return o.to.Write(p)
	case o.held == nil: // as many buffers are lent as may be
		o.mu.Unlock()
		err := o.writeAll(p)
		o.mu.Lock()
		o.failed = err
		return len(p), err
	}
	if o.n+len(p) > bufferSize {
		o.leave()
	}
	o.n += copy(o.held[o.n:], p)
	return len(p), o.failed
}

// leave writes what is held, with mu held but for the calls.
func (o *output) leave() {
	o.leaving = true
	for o.n > 0 && o.failed == nil {
		leaving := o.held[:o.n]
		o.mu.Unlock()
		err := o.writeAll(leaving)
		o.mu.Lock()
		o.failed = err
		o.n = copy(o.held[:], o.late)
		o.late = nil
	}
	o.leaving, o.n = false, 0
}

// hurry has what is leaving, and all that follows, fail once the socket takes nothing for so long.
func (o *output) hurry(silence time.Duration) {
	o.silence.Store(int64(silence))
	_ = o.to.SetWriteDeadline(time.Now().Add(silence))
}

// writeAll has a write that is not done in time go on as long as something moves.
func (o *output) writeAll(p []byte) error {
	if o.silence.Load() == 0 {
		_, err := o.to.Write(p)
		return err
	}
	for {
		_ = o.to.SetWriteDeadline(time.Now().Add(time.Duration(o.silence.Load())))
		n, err := o.to.Write(p)
		p = p[n:]
		switch {
		case len(p) == 0:
			return o.to.SetWriteDeadline(time.Time{})
		case n == 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}
