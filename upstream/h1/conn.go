package h1

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is a connection to a server, for one request after the other.
type conn struct {
	// Static.
	net.Conn              // what is written to, and read from: over TLS, or the line itself
	line     *line        // below TLS
	tcp      *net.TCPConn // nil: bytes cannot be moved inside the kernel
	in       *bufio.Reader
	pool     *pool

	scratch []byte    // for heads
	reused  bool      // it has answered before
	idle    time.Time // since when, while it waits

	answered atomic.Bool // some byte of the answer under way came

	mu     sync.Mutex
	failed error // why it was closed by who writes to it. Guarded by mu.
}

// fail ends whoever reads from the connection, for a reason.
func (c *conn) fail(why error) {
	c.mu.Lock()
	if c.failed == nil {
		c.failed = why
	}
	c.mu.Unlock()
	c.kill()
}

// kill closes the line without a goodbye in TLS, for which a server that takes nothing would be waited.
func (c *conn) kill() { _ = c.line.Close() }

// why is the reason that fail was given, or what reading said.
func (c *conn) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	return err
}

// isOpen looks, without waiting, whether a connection that rests was closed, or has bytes that nobody has asked for:
// those would be taken for the next answer. Within TLS there may be records that are none of HTTP's (RFC 8446, 4.6).
func isOpen(c *conn) bool {
	c.line.noWait = true
	defer func() { c.line.noWait = false }()
	_, err := c.in.Peek(1)
	return errors.Is(err, errNothing)
}

// nothingThere is what a read gets instead of a wait. For crypto/tls it is temporary: the next read goes on where this
// one ended.
type nothingThere struct{}

func (nothingThere) Error() string   { return "nothing has come" }
func (nothingThere) Timeout() bool   { return true }
func (nothingThere) Temporary() bool { return true }

var errNothing error = nothingThere{}

// line is a connection that knows since when what is read from it cannot have been there. What a server has sent waits
// here for a slow reader, megabytes of it, and shows nothing if the server has died since.
type line struct {
	net.Conn
	made time.Time

	noWait bool // a read takes what is there. Owned by whoever reads.

	// Nanoseconds from made.
	empty atomic.Int64 // when all that had come was read
	came  atomic.Int64 // the last thing that was read came after this
}

func (l *line) Read(p []byte) (int, error) {
	if l.noWait {
		return readNow(l.Conn, p)
	}
	n, err := l.Conn.Read(p)
	l.took(n)
	if n < len(p) {
		l.isEmpty()
	}
	return n, err
}

// took notes that so many bytes were taken.
func (l *line) took(n int) {
	if n > 0 {
		l.came.Store(l.empty.Load())
	}
}

// isEmpty notes that all that had come was taken.
func (l *line) isEmpty() { l.empty.Store(int64(time.Since(l.made))) }

func (l *line) cameAfter() time.Time { return l.made.Add(time.Duration(l.came.Load())) }
