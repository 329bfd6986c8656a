package h1

import (
	"bufio"
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
	_ = c.Close()
}

// why is the reason that fail was given, or what reading said.
func (c *conn) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	return err
}

// line is a connection that knows since when what is read from it cannot have been there. What a server has sent waits
// here for a slow reader, megabytes of it, and shows nothing if the server has died since.
type line struct {
	net.Conn
	made time.Time

	// Nanoseconds from made.
	empty atomic.Int64 // when all that had come was read
	came  atomic.Int64 // the last thing that was read came after this
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.took(n, n < len(p))
	return n, err
}

// took notes that so many bytes were taken, and whether that was all there was.
func (l *line) took(n int, all bool) {
	if n > 0 {
		l.came.Store(l.empty.Load())
	}
	if all {
		l.empty.Store(int64(time.Since(l.made)))
	}
}

func (l *line) cameAfter() time.Time { return l.made.Add(time.Duration(l.came.Load())) }
