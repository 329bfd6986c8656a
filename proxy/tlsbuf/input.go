package tlsbuf

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// input takes from the socket all that is there, up to a buffer. It has one only from when bytes have come until they
// are read: a wait for the socket needs none.
type input struct {
	// Static.
	from net.Conn
	raw  syscall.RawConn       // of from; nil: it is read straight into what the reader gives
	fill func(fd uintptr) bool // readOnce, made once

	mu        sync.Mutex
	held      *[bufferSize]byte // nil: nothing has come. Guarded by mu, as the next two.
	next, end int               // of held
	closed    bool

	// Owned by whoever reads.
	into       []byte // what a read without a buffer goes into
	direct     int    // bytes of that
	failed     error  // the last call of readOnce
	heldEnough bool   // reads must not wait
}

// nothingHeld is what a read gets instead of a wait. For crypto/tls it is temporary: the next read goes on where this
// one ended, even in the middle of a record.
type nothingHeld struct{}

func (nothingHeld) Error() string   { return "no more bytes are held" }
func (nothingHeld) Timeout() bool   { return true }
func (nothingHeld) Temporary() bool { return true }

func (i *input) read(p []byte) (int, error) {
	if n := i.take(p); n > 0 {
		return n, nil
	}
	switch {
	case i.heldEnough:
		return 0, nothingHeld{}
	case i.raw == nil:
		return i.from.Read(p)
	default:
		i.into, i.direct = p, 0
		err := i.raw.Read(i.fill)
		switch i.into = nil; {
		case err != nil:
			return 0, err
		case i.direct > 0:
			return i.direct, nil
		}
	}
	if n := i.take(p); n > 0 {
		return n, nil
	}
	return 0, i.failed
}

// take gives what is held, and the buffer back once all of it was taken.
func (i *input) take(p []byte) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held == nil {
		return 0
	}
	n := copy(p, i.held[i.next:i.end])
	if i.next += n; i.next == i.end {
		buffers.put(i.held)
		i.held = nil
	}
	return n
}

// close gives the buffer back, whatever nobody has read of it.
func (i *input) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed = true; i.held != nil {
		buffers.put(i.held)
		i.held = nil
	}
}

// hold keeps n bytes of a buffer until they are read.
func (i *input) hold(buffer *[bufferSize]byte, n int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		buffers.put(buffer)
		return net.ErrClosed
	}
	i.held, i.next, i.end = buffer, 0, n
	return nil
}

// readOnce is false if there is nothing to read yet. It is called again when there is.
func (i *input) readOnce(fd uintptr) bool {
	buffer, into := buffers.get(), i.into
	if buffer != nil {
		into = buffer[:]
	}
	n, wait, err := read(fd, into)
	switch {
	case n > 0 && buffer != nil:
		i.failed = i.hold(buffer, n)
		return true
	case buffer != nil:
		buffers.put(buffer)
	case n > 0:
		i.direct = n
	}
	if n == 0 && !wait && err == nil {
		err = io.EOF
	}
	i.failed = err
	return !wait
}
