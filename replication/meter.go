package replication

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
	"golang.org/x/time/rate"
)

// window is what a rate is the mean of, in seconds.
const window = 60

// meter counts and bounds what is sent to one replica.
type meter struct {
	count func(bytes int)           // Static.
	bound atomic.Pointer[bandwidth] // never nil

	mu      sync.Mutex
	total   int64         // Guarded by mu.
	seconds [window]int64 // Guarded by mu; bytes, by second.
	marks   [window]int64 // Guarded by mu; the second that each is of.
}

// bandwidth bounds reads.
type bandwidth struct {
	perSecond int64
	limit     *rate.Limiter // nil: no bound
	most      int           // bytes of one read
}

func newMeter(bytesPerSecond int64, count func(bytes int)) *meter {
	m := &meter{count: count}
	m.bound.Store(&bandwidth{perSecond: -1})
	m.update(bytesPerSecond)
	return m
}

// update makes single reads small: a transfer that waits for its share of the bandwidth must not look stalled.
func (m *meter) update(bytesPerSecond int64) {
	if m.bound.Load().perSecond == bytesPerSecond {
		return
	}
	b := &bandwidth{perSecond: bytesPerSecond, most: 256 << 10}
	if bytesPerSecond > 0 {
		b.most = int(min(max(bytesPerSecond/20, 1), 256<<10))
		b.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), b.most)
	}
	m.bound.Store(b)
}

func (m *meter) sent(n int, now time.Time) {
	m.count(n)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += int64(n)
	second := now.Unix()
	if i := second % window; m.marks[i] != second {
		m.marks[i], m.seconds[i] = second, 0
	}
	m.seconds[second%window] += int64(n)
}

// rate is the mean of the last minute, or of the part of it since the first byte, in bytes per second.
func (m *meter) rate(now time.Time) (perSecond float64, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sum int64
	first := now.Unix()
	for i, mark := range m.marks {
		if mark > now.Unix()-window {
			sum += m.seconds[i]
			first = min(first, mark)
		}
	}
	return float64(sum) / float64(now.Unix()-first+1), m.total
}

// over is a transport that meters the bodies of its requests.
func (m *meter) over(base http.RoundTripper) http.RoundTripper { return metered{base, m} }

type metered struct {
	base http.RoundTripper
	*meter
}

func (m metered) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return m.base.RoundTrip(r)
	}
	out := r.WithContext(r.Context())
	out.Body = &meteredBody{r.Body, m.meter, r}
	return m.base.RoundTrip(out)
}

type meteredBody struct {
	io.ReadCloser
	*meter
	request *http.Request
}

func (b *meteredBody) Read(p []byte) (int, error) {
	bound := b.bound.Load()
	n, err := b.ReadCloser.Read(p[:min(len(p), bound.most)])
	if n > 0 {
		b.sent(n, time.Now())
		if bound.limit != nil {
			if err := bound.limit.WaitN(b.request.Context(), n); err != nil {
				return 0, err
			}
		}
	}
	return n, err
}

// reach is how to reach a replica, through its meter.
func (e *Engine) reach(name string) transfer.Replica {
	r := e.Gateway.Reach(name)
	r.Name = name
	r.Transport = e.meter(name).over(r.Transport)
	return r
}

// source is how to read from a replica for another.
func (e *Engine) source(name, target string) transfer.Replica {
	r := e.reach(name)
	if e.Moved == nil {
		return r
	}
	return r.Counted(func(n int) { e.Moved(name, target, n) })
}

func (e *Engine) meter(name string) *meter {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.meters[name] == nil && e.gone(name) { // nobody would take its series away again
		return newMeter(e.settings.Load().BytesPerSecond, func(int) {})
	}
	if e.meters[name] == nil {
		bytes := e.metrics.bytes.WithLabelValues(name)
		e.meters[name] = newMeter(e.settings.Load().BytesPerSecond, func(n int) { bytes.Add(float64(n)) })
	}
	return e.meters[name]
}
