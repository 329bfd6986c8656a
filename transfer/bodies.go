package transfer

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// outgoing is a body on its way to the replica. While more of it is read from elsewhere, the wait for an answer is
// suspended. A transport may go on reading after the answer, until Close.
type outgoing struct {
	timer *time.Timer
	wait  time.Duration

	mu   sync.Mutex
	from io.Reader // Guarded by mu; nil: closed.
}

func (o *outgoing) Read(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.from == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	o.timer.Stop()
	defer o.timer.Reset(o.wait)
	return o.from.Read(b)
}

func (o *outgoing) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.from = nil
	return nil
}

// incoming is a body that ends with an error if it stands still.
type incoming struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	still  time.Duration
}

func (i *incoming) Read(b []byte) (int, error) {
	i.timer.Reset(i.still)
	defer i.timer.Stop()
	n, err := i.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = cmp.Or(context.Cause(i.ctx), err)
	}
	return n, err
}

func (i *incoming) Close() error {
	i.cancel(nil)
	return i.ReadCloser.Close()
}
