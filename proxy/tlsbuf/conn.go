package tlsbuf

import (
	"crypto/tls"
	"io"
	"sync"
)

// Conn is TLS over a connection from Under. Each Write leaves in as few calls as can be, and each Read gets as many
// records as have come and fit.
type Conn struct {
	*tls.Conn
	socket *socket

	writing sync.Mutex // one Write at a time
}

// Over wraps what tls.Server made of a connection from Under, after its handshake.
func Over(t *tls.Conn) *Conn {
	return &Conn{Conn: t, socket: t.NetConn().(*socket)}
}

// recordData is what a record carries at most. What is not longer is one record, in general.
const recordData = 16 << 10

func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(p) <= recordData {
		return c.Conn.Write(p)
	}
	return c.writeTogether(p)
}

func (c *Conn) writeTogether(p []byte) (int, error) {
	c.socket.out.gather()
	n, err := c.Conn.Write(p)
	if failed := c.socket.out.release(); failed != nil {
		return 0, failed
	}
	return n, err
}

// Read waits for the first record alone. An error after that is the next Read's, which TLS gives the same.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil || len(p) <= recordData {
		return n, err
	}
	c.socket.in.heldEnough = true
	defer func() { c.socket.in.heldEnough = false }()
	for n < len(p) {
		more, err := c.Conn.Read(p[n:])
		n += more
		if err != nil {
			break
		}
	}
	return n, nil
}

// copySize is what ReadFrom takes from its source at once.
const copySize = 4 * recordData

var copies = sync.Pool{New: func() any { return new([copySize]byte) }}

// ReadFrom copies in pieces that leave in one call each.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	buffer := copies.Get().(*[copySize]byte)
	defer copies.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buffer[:])
}
