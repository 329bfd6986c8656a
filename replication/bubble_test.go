package replication

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// inBubble is an engine for b with nothing to reach, on the bubble's clock.
type inBubble struct {
	*Engine
	asked  atomic.Int64 // manifests of b
	status atomic.Int64 // of its answers; 0: there is none
	blob   atomic.Int64 // of a blob that b has or not, and takes deletions of; 0: as all else

	unsurveyed atomic.Bool
}

func newInBubble(t *testing.T, kept Ledger, change ...func(*Options)) *inBubble {
	x := &inBubble{}
	o := Options{
		Gateway: x, Ledger: kept, Settings: Settings{Concurrency: 1}, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	}
	for _, do := range change {
		do(&o)
	}
	x.Engine = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { x.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return x
}

func (x *inBubble) Fleet() Fleet { return three(func(f *Fleet) { f.Assigned = []string{"b"} }) }

func (x *inBubble) Current() bool { return true }

func (x *inBubble) Surveyed(string) bool { return !x.unsurveyed.Load() }

func (x *inBubble) Reach(name string) transfer.Replica {
	return transfer.Replica{Name: name, URL: &url.URL{Scheme: "http", Host: name + ".test"}, Transport: x}
}

func (x *inBubble) RoundTrip(r *http.Request) (*http.Response, error) {
	x.asked.Add(1)
	if status := int(x.blob.Load()); status != 0 && strings.Contains(r.URL.Path, "/blobs/sha256:") {
		if r.Method == http.MethodDelete {
			x.blob.Store(http.StatusNotFound)
			status = http.StatusAccepted
		}
		return &http.Response{StatusCode: status, Request: r, Header: http.Header{}, Body: http.NoBody}, nil
	}
	if status := x.status.Load(); status != 0 {
		return &http.Response{StatusCode: int(status), Request: r, Header: http.Header{}, Body: http.NoBody}, nil
	}
	return nil, errors.New("unplugged")
}

// until looks every second, for two hours at most.
func (x *inBubble) until(so func([]Failure) bool) {
	for range 7200 {
		synctest.Wait()
		if so(x.Failures()) {
			return
		}
		time.Sleep(time.Second)
	}
}
