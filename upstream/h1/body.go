package h1

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// Body is that of an answer. It ends with io.EOF only where the server has said that it ends: what is cut short is
// io.ErrUnexpectedEOF. It belongs to one goroutine at a time.
type Body struct {
	// Static after the answer.
	Moved    func(cameAfter time.Time) // some bytes came, and none before that; nil: nobody wants to know
	framing  framing
	conn     *conn
	response *http.Response
	release  func(reuse bool) // of the connection, once

	left    int64 // of a body byLength
	chunked chunked
	err     error // which all further reads give
	ended   bool  // the connection is not ours any more
}

func (b *Body) Read(p []byte) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	switch b.framing {
	case byLength:
		n, err = b.conn.in.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
	case byChunks:
		n, err = b.chunked.read(b.conn.in, p)
	case byClose:
		n, err = b.conn.in.Read(p)
	case noBody:
		err = io.EOF
	}
	return n, b.took(n, err)
}

// took judges what came of a read.
func (b *Body) took(n int, err error) error {
	if n > 0 && b.Moved != nil {
		b.Moved(b.conn.line.cameAfter())
	}
	ends := b.framing == byLength && b.left == 0
	switch {
	case ends, errors.Is(err, io.EOF) && b.framing != byLength:
		b.err = io.EOF
		b.end(b.framing != byClose)
	case err != nil:
		b.err = cmp.Or(b.response.Request.Context().Err(), b.conn.why(unexpected(err)))
		b.end(false)
	}
	if ends && n > 0 {
		return nil // the next read says that this was all
	}
	return b.err
}

// end lets go of the connection.
func (b *Body) end(reuse bool) {
	if b.ended {
		return
	}
	b.ended = true
	if reuse && len(b.chunked.trailer) > 0 {
		b.response.Trailer = b.chunked.trailer
	}
	b.release(reuse)
}

// errClosed is what a body that was closed gives.
var errClosed = errors.New("the answer's body was closed")

// Close lets go of the connection. It is used again if all that was left has come already, as with short answers.
func (b *Body) Close() error {
	if b.ended {
		return nil
	}
	here := b.framing == byLength && b.left <= int64(b.conn.in.Buffered())
	if here {
		_, _ = b.conn.in.Discard(int(b.left))
	}
	b.err = errClosed
	b.end(here)
	return nil
}

// Spliceable is how many bytes of the body may be moved inside the kernel, once what is Buffered here was read. 0: the
// body has to be read.
func (b *Body) Spliceable() int64 {
	if b.err != nil || b.framing != byLength || b.conn.tcp == nil {
		return 0
	}
	return b.left
}

// Buffered is how many bytes have been taken from the connection, and the next read gives.
func (b *Body) Buffered() int { return b.conn.in.Buffered() }

// Fill moves up to most bytes of the body into a pipe. It is Read for what is Spliceable while nothing is Buffered.
func (b *Body) Fill(pipe *splice.Pipe, most int64) (n int, err error) {
	if b.err != nil {
		return 0, b.err
	}
	most = min(most, b.left, splice.Size)
	n, err = pipe.Fill(b.conn.tcp, most, b.conn.line.isEmpty)
	b.conn.line.took(n)
	b.left -= int64(n)
	return n, b.took(n, err)
}
