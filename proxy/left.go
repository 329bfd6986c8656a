package proxy

import (
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
)

// begunUploads are those that are open at each replica, as far as this gateway has taken part in them. One that nobody
// touches for life is none.
type begunUploads struct {
	seed maphash.Seed // Static.
	life changingDuration

	mu sync.Mutex
	of *simplelru.LRU[uint64, begunUpload] // by the hash of a name, which may be long. Guarded by mu.
}

type begunUpload struct {
	replica string
	last    time.Time
}

func newBegunUploads(most int) *begunUploads {
	return &begunUploads{seed: maphash.MakeSeed(), of: newLRU[uint64, begunUpload](most)}
}

func (b *begunUploads) note(name, replica string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of.Add(maphash.String(b.seed, name), begunUpload{replica, now})
}

func (b *begunUploads) end(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of.Remove(maphash.String(b.seed, name))
}

func (b *begunUploads) countOf(replica string, now time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.of.Values() {
		if u.replica == replica && now.Sub(u.last) < b.life.get() {
			n++
		}
	}
	return n
}

func (b *begunUploads) forget(lost map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.of.Keys() {
		if u, ok := b.of.Peek(k); ok && lost[u.replica] {
			b.of.Remove(k)
		}
	}
}

// noteBegun follows an upload through an accepted step of it.
func (x *exchange) noteBegun(replica *router.Replica, response *http.Response, now time.Time) {
	if !x.isStep() {
		return
	}
	if x.urlOwner != "" {
		x.proxy.begun.end(uploadName(x.urlOwner, x.in.URL.Path))
	}
	if !x.inProgress(response) {
		return
	}
	if at, err := url.Parse(response.Header.Get("Location")); err == nil {
		owner, _ := cutOwner(at.RawQuery)
		x.proxy.begun.note(uploadName(owner, at.Path), replica.Name, now)
	}
}

// Left is what of pushes is left at a replica, as far as they come through this gateway: repositories whose writes it
// owns, and uploads that are open there.
func (p *Proxy) Left(replica string) (leases, uploads int) {
	now := time.Now()
	return p.leases.countOf(replica, now), p.begun.countOf(replica, now)
}

var pushesLeft = prometheus.NewDesc("fairlead_proxy_pushes_left",
	"Pushes through this gateway that are left at a replica where nothing new starts: leases and open uploads. "+
		"There is none of a replica that does not drain.", []string{"replica"}, nil)

// leftCollector shows what is left at replicas that drain or leave.
type leftCollector struct{ *Proxy }

func (c leftCollector) Describe(out chan<- *prometheus.Desc) { out <- pushesLeft }

func (c leftCollector) Collect(out chan<- prometheus.Metric) {
	for _, replica := range c.Draining() {
		leases, uploads := c.Left(replica)
		out <- prometheus.MustNewConstMetric(pushesLeft, prometheus.GaugeValue, float64(leases+uploads), replica)
	}
}

// Draining are the replicas where nothing new starts, by name.
func (p *Proxy) Draining() (names []string) {
	for name := range p.settings.Load().drains {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
