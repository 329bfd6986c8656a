package tlsbuf

import (
	"io"
	"net"
	"syscall"
)

// input takes from the socket all that is there, up to a buffer. It has one only from when bytes have come until they
// are read: a wait for the socket needs none.
type input struct {
	// Static.
	from net.Conn
	raw  syscall.RawConn       // of from; nil: it is read straight into what the reader gives
	fill func(fd uintptr) bool // readOnce, made once

	// Owned by whoever reads.
	held       *[bufferSize]byte // nil: nothing has come
	next, end  int               // of held
	into       []byte            // what a read without a buffer goes into
	direct     int               // bytes of that
	failed     error             // the last call of readOnce
	heldEnough bool              // reads must not wait
}

// nothingHeld is what a read gets instead of a wait. For crypto/tls it is temporary: the next read goes on where this
// one ended, even in the middle of a record.
type nothingHeld struct{}

func (nothingHeld) Error() string   { return "no more bytes are held" }
func (nothingHeld) Timeout() bool   { return true }
func (nothingHeld) Temporary() bool { return true }

func (i *input) read(p []byte) (int, error) {
	switch {
	case i.held != nil:
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
		case i.held == nil:
			return 0, i.failed
		}
	}
	n := copy(p, i.held[i.next:i.end])
	if i.next += n; i.next == i.end {
		buffers.put(i.held)
		i.held = nil
	}
	return n, nil
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
		i.held, i.next, i.end = buffer, 0, n
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
