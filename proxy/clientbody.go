package proxy

import (
	"io"
)

// clientBody is the request's body: it counts what is read, says when the end is reached, and whose fault it is if that
// never comes. Closing it is net/http's, once the handler has returned: it may read on for what is left.
type clientBody struct {
	x    *exchange
	left int64 // until its end; below 0: nobody knows
}

func newClientBody(x *exchange) *clientBody { return &clientBody{x, x.in.ContentLength} }

func (b *clientBody) Read(buf []byte) (int, error) {
	b.x.progress.reading.Store(true)
	n, err := b.x.in.Body.Read(buf)
	b.x.progress.reading.Store(false)
	b.took(n, err)
	return n, err
}

func (b *clientBody) took(n int, err error) {
	b.x.progress.moved.Add(int64(n))
	ended := err == io.EOF
	if b.left > 0 {
		b.left -= int64(n)
		ended = ended || b.left == 0
	}
	switch {
	case ended:
		// An answer may have begun before the request has ended; there is no way back from that.
		b.x.progress.phase.CompareAndSwap(int32(sending), int32(waiting))
	case err != nil:
		b.x.progress.clientFailed.Store(true)
	}
}

func (b *clientBody) Close() error { return nil }
