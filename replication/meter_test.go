package replication

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type drain struct{}

func (drain) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return &http.Response{StatusCode: http.StatusOK}, nil
	}
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK}, errors.Join(err, r.Body.Close())
}

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counted atomic.Int64
		m := newMeter(1000, func(n int) { counted.Add(int64(n)) })
		over := m.over(drain{})
		send := func(n int) {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://b.test/",
				io.NopCloser(strings.NewReader(strings.Repeat("x", n))))
			if _, err := over.RoundTrip(r); err != nil {
				t.Error(err)
			}
		}
		began := time.Now()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { send(2500) })
		}
		group.Wait()
		if took := time.Since(began); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("10,000 bytes at 1000 a second took %v", took)
		}
		if perSecond, total := m.rate(time.Now()); perSecond < 900 || perSecond > 1100 || total != 10_000 ||
			counted.Load() != 10_000 {
			t.Errorf("%v a second, %d bytes, %d counted", perSecond, total, counted.Load())
		}
		time.Sleep(2 * window * time.Second)
		if perSecond, total := m.rate(time.Now()); perSecond != 0 || total != 10_000 {
			t.Errorf("%v a second, %d bytes", perSecond, total)
		}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://b.test/", nil)
		if _, err := over.RoundTrip(r); err != nil {
			t.Error(err)
		}
		free := newMeter(0, func(int) {})
		r, _ = http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://b.test/",
			strings.NewReader(strings.Repeat("x", 10<<20)))
		began = time.Now()
		if _, err := free.over(drain{}).RoundTrip(r); err != nil || time.Since(began) != 0 {
			t.Errorf("%v, %v", err, time.Since(began))
		}
	})
}
