package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// clientBody is the request's body: it counts what is read, says when the end is reached, and whose fault it is if that
// never comes. Closing it is net/http's, once the handler has returned: it may read on for what is left.
type clientBody struct {
	x     *exchange
	which uint64 // of its connection
	read  int64
}

func (x *exchange) clientBody() *clientBody {
	b := &clientBody{x: x}
	if from := strictConnOf(x.in); from != nil {
		b.which = from.Body()
	}
	return b
}

// strictConnOf is the connection of a request that came in clear text over HTTP/1.x; nil: it did not.
func strictConnOf(r *http.Request) *strict.Conn {
	c, _ := r.Context().Value(connKey{}).(*strict.Conn)
	return c
}

func (b *clientBody) Read(buf []byte) (int, error) {
	b.x.progress.reading.Store(true)
	n, err := b.x.in.Body.Read(buf)
	return n, b.took(n, err)
}

func (b *clientBody) took(n int, err error) error {
	b.x.progress.reading.Store(false)
	b.x.progress.moved.Add(int64(n))
	b.x.progress.received.Add(int64(n))
	b.read += int64(n)
	switch {
	case errors.Is(err, io.EOF), b.isWhole():
		b.allTaken()
	case err != nil:
		b.x.progress.clientFailed.Store(true)
	}
	return err
}

// isWhole reports whether all of a body with a length was read.
func (b *clientBody) isWhole() bool { return b.read == b.x.in.ContentLength }

// allTaken has it that it is for the replica to answer. An answer may have begun before the request has ended; there is
// no way back from that.
func (b *clientBody) allTaken() {
	b.x.progress.phase.CompareAndSwap(int32(sending), int32(waiting))
}

func (b *clientBody) Close() error { return nil }

// WriteTo moves the body inside the kernel, where it comes in clear text, with a length, and is handed a TCP
// connection.
func (b *clientBody) WriteTo(w io.Writer) (n int64, err error) {
	to, ok := w.(h1.TCPWriter)
	from := strictConnOf(b.x.in)
	if !ok || to.TCP() == nil || from == nil || b.x.in.ContentLength < minSplice {
		return b.copyTo(w)
	}
	socket := socketOf(from)
	if socket == nil {
		return b.copyTo(w)
	}
	pipes := b.x.proxy.Pipes
	pipe, err := pipes.Get()
	if err != nil {
		return b.copyTo(w)
	}
	defer pipes.Put(pipe)
	for b.x.in.ContentLength-b.read >= minSplice {
		before := b.read
		if from.Divertible(b.read) > 0 {
			err = b.move(from, socket, pipe, to)
		} else {
			err = b.copyOnce(w)
		}
		if n += b.read - before; err != nil {
			return n, err
		}
	}
	rest, err := b.copyTo(w)
	return n + rest, err
}

// move fills and drains the pipe once.
func (b *clientBody) move(from *strict.Conn, socket *net.TCPConn, pipe *splice.Pipe, to h1.TCPWriter) error {
	b.x.progress.reading.Store(true)
	n, err := from.Divert(b.x.in.Body, b.which, func(most int64) (int, error) {
		return pipe.Fill(socket, most, func() {})
	})
	if err = b.took(n, err); err != nil && n == 0 {
		return err
	}
	err = pipe.Drain(to.TCP())
	if err != nil {
		to.Broke(err)
	}
	return err
}

// copyOnce copies what one read gives: what has been taken from the socket already.
func (b *clientBody) copyOnce(w io.Writer) error {
	var buffer [4 << 10]byte
	n, err := b.Read(buffer[:])
	if n > 0 {
		_, err = w.Write(buffer[:n])
	}
	return err
}

func (b *clientBody) copyTo(w io.Writer) (int64, error) {
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{b}, *buffer)
}

// socketOf is the socket that a connection in clear text reads from; nil: something stands between.
func socketOf(c *strict.Conn) *net.TCPConn {
	bound, ok := c.Conn.(*boundConn)
	if !ok {
		return nil
	}
	tcp, _ := bound.Conn.(*net.TCPConn)
	return tcp
}
