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

// outgoing stops the wait for an answer while more of the body is on its way from elsewhere. A
// transport may still read when it has answered: until Close.
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

// incoming ends a body that stands still.
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
