package replication

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func (x *region) stateOf(replica string) State {
	for _, p := range x.Progress() {
		if p.Replica == replica {
			return p.State
		}
	}
	return ""
}

// TestFiltersChange: what a filter let go of is copied at once, and its replica is not Ready before; what a filter
// newly leaves out is no failure any more.
func TestFiltersChange(t *testing.T) {
	x := newRegion(t)
	var filtered atomic.Bool
	filtered.Store(true)
	f := three(on("b", func(r *Replica) { r.LeftOut = func(string) bool { return filtered.Load() } }))
	x.fleet.Store(&f)
	x.push("v1", x.at["a"].image("v1", "layer"), "a")
	goOn := make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			<-goOn
		}
		return false
	})
	with := x.Settings
	with.Filters = "b: *"
	x.Update(with)
	x.run()
	x.settled("c")
	x.eventually(func() bool { return x.stateOf("b") == Ready })

	filtered.Store(false)
	with.Filters = ""
	x.Update(with)
	if state := x.stateOf("b"); state == Ready {
		t.Errorf("%s although it has nothing of what the filter left out", state)
	}
	x.eventually(func() bool { return x.stateOf("b") == Syncing })
	release()
	x.settled("b")
	x.eventually(func() bool { return x.stateOf("b") == Ready })

	x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
		refuses := r.Method == http.MethodPut
		if refuses {
			w.WriteHeader(http.StatusForbidden)
		}
		return refuses
	})
	x.Enqueue(x.push("v2", x.at["a"].image("v2", "other"), "a"))
	x.failed(1)
	filtered.Store(true)
	with.Filters = "b: *"
	x.Update(with)
	x.failed(0)
}

// TestPlacesAndBandwidthChange: places and bandwidth are those of the settings in force, for replicas that are copied
// to, too.
func TestPlacesAndBandwidthChange(t *testing.T) {
	x := newRegion(t, func(o *Options) { o.Settings = Settings{Concurrency: 1, BytesPerSecond: 1 << 30} })
	f := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&f)
	at, goOn := make(chan string, 8), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			at <- r.URL.Path
			<-goOn
		}
		return false
	})
	for _, tag := range []string{"v1", "v2", "v3"} {
		x.push(tag, x.at["a"].image(tag, "layer of "+tag), "a")
	}
	x.run()
	<-at
	x.eventually(func() bool { return len(x.Progress()) == 1 && x.Progress()[0].Running == 1 })
	x.Update(Settings{Concurrency: 3, BytesPerSecond: 2 << 30})
	<-at
	<-at
	if running := x.Progress()[0].Running; running != 3 {
		t.Errorf("%d tasks run", running)
	}
	if limit := x.meter("b").bound.Load().limit.Limit(); limit != 2<<30 {
		t.Errorf("%v bytes per second", limit)
	}
	release()
	x.settled("b")
}

// TestGoneAndReplaced: nothing that was known of a registry is known of the next under its name, and nothing that was
// begun there goes on; a replica that is gone leaves no series.
func TestGoneAndReplaced(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *Fleet)
	}{
		{"gone", func(f *Fleet) { f.Replicas, f.Assigned = f.Replicas[:1], nil }},
		{"replaced", on("b", func(r *Replica) { r.Holder = "b@another" })},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRegion(t)
			f := three(func(f *Fleet) { f.Replicas, f.Assigned = f.Replicas[:2], []string{"b"} })
			x.fleet.Store(&f)
			var refuses atomic.Bool
			refuses.Store(true)
			x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet || r.Method == http.MethodHead || !refuses.Load() {
					return false
				}
				w.WriteHeader(http.StatusForbidden)
				return true
			})
			x.push("v1", x.at["a"].image("v1", "layer"), "a")
			x.run()
			x.failed(1)
			life, leave := x.during(t.Context(), "b")
			defer leave()
			refuses.Store(false)
			after := three(func(f *Fleet) { f.Replicas, f.Assigned = f.Replicas[:2], []string{"b"} }, c.change)
			x.fleet.Store(&after)
			x.Wake()
			<-life.Done()
			if err := context.Cause(life); err != errReplaced {
				t.Error(err)
			}
			x.failed(0)
			if c.name == "replaced" {
				x.settled("b@another") // at once: no failure keeps it waiting
				return
			}
			if n := testutil.CollectAndCount(x.metrics.pending) + testutil.CollectAndCount(x.metrics.tasks); n != 0 {
				t.Errorf("%d series of what is gone", n)
			}
		})
	}
}

// TestNoCopyForARegistryThatWas: who wants a blob at a registry that came in another's place does not join its copy to
// that one.
func TestNoCopyForARegistryThatWas(t *testing.T) {
	x := newRegion(t)
	content := []byte("layer")
	x.at["a"].blob(content)
	arrived, goOn := make(chan struct{}, 2), make(chan struct{})
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			arrived <- struct{}{}
			<-goOn
		}
		return false
	})
	b := newBlobs(t.Context(), x.Engine)
	key := blobKey{"b", "app", sum(content)}
	before, after := make(chan error, 1), make(chan error, 1)
	go func() { before <- b.ensure(t.Context(), key, 0, []string{"a"}) }()
	<-arrived
	x.Engine.mu.Lock()
	b.forget("b")
	x.Engine.mu.Unlock()
	go func() { after <- b.ensure(t.Context(), key, 0, []string{"a"}) }()
	<-arrived
	close(goOn)
	for _, done := range []chan error{before, after} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.all.Wait()
	if len(b.jobs) != 0 {
		t.Errorf("%d copies are left", len(b.jobs))
	}
}
