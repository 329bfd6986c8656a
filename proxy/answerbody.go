package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// answerBody counts the bytes of an answer, and reports a replica that breaks off in its middle.
type answerBody struct {
	io.ReadCloser
	inKernel *h1.Body // the same, where it may be moved inside the kernel; or nil
	x        *exchange
	replica  *router.Replica
	ctx      context.Context
	cancel   context.CancelCauseFunc // of ctx
	broken   bool                    // and reported
}

// newAnswerBody is of what was asked of a replica within a context, which ends when the body is closed.
func newAnswerBody(
	ctx context.Context, cancel context.CancelCauseFunc, x *exchange, replica *router.Replica, body io.ReadCloser,
) *answerBody {
	inKernel, _ := body.(*h1.Body)
	return &answerBody{body, inKernel, x, replica, ctx, cancel, false}
}

func (b *answerBody) Read(buf []byte) (int, error) {
	b.x.progress.answering.Store(true)
	n, err := b.ReadCloser.Read(buf)
	return n, b.took(n, err)
}

// fill is a Read into a pipe.
func (b *answerBody) fill(pipe *splice.Pipe, most int64) (int, error) {
	b.x.progress.answering.Store(true)
	n, err := b.inKernel.Fill(pipe, most)
	return n, b.took(n, err)
}

// spliceable is how much may be moved inside the kernel, once what is buffered was read.
func (b *answerBody) spliceable() int64 {
	if b.inKernel == nil {
		return 0
	}
	return b.inKernel.Spliceable()
}

// buffered is how much has been taken from the connection, and the next Read gives.
func (b *answerBody) buffered() int { return b.inKernel.Buffered() }

func (b *answerBody) took(n int, err error) error {
	b.x.progress.answering.Store(false)
	b.x.progress.moved.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) && !b.broken {
		b.broken = true
		b.x.trouble(b.replica, cmp.Or(context.Cause(b.ctx), err))
	}
	return err
}

func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
