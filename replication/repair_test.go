package replication

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// delete takes something from a store behind everybody's back.
func (s *store) delete(path string) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodDelete, path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &discard{}
	s.registry.ServeHTTP(w, r)
	if w.code != http.StatusAccepted {
		s.t.Fatalf("%s: %d", path, w.code)
	}
}

type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *discard) WriteHeader(code int)            { d.code = code }
func (d *discard) Write(b []byte) (n int, e error) { return len(b), nil }

// running waits until the engine has begun.
func (x *region) running() {
	x.t.Helper()
	x.eventually(func() bool {
		x.Engine.mu.Lock()
		defer x.Engine.mu.Unlock()
		return x.blobs != nil
	})
}

func (x *region) last(name string) ledger.Entry {
	x.t.Helper()
	e, known, err := x.Get(ledger.Reference{Repository: "app", Name: name})
	if !known || err != nil {
		x.t.Fatalf("%s: %v, %v", name, known, err)
	}
	return e
}

func TestRepair(t *testing.T) {
	x := newRegion(t)
	x.run()
	digest := x.at["a"].image("v1", "layer")
	x.Enqueue(x.push("v1", digest, "a"))
	x.settled("b", "c")
	b := x.at["b"]
	repair := func(name, target string) {
		t.Helper()
		if err := x.Repair(t.Context(), x.last(name), target); err != nil {
			t.Errorf("%s on %s: %v", name, target, err)
		}
	}
	b.delete("/v2/app/manifests/v1")
	b.delete("/v2/app/manifests/" + digest)
	x.Enqueue(x.last("v1")) // it was confirmed, so that nobody looks
	repair("v1", "b")
	if !b.complete("v1") || !b.complete(digest) {
		t.Error("what was lost is not there again")
	}
	b.delete("/v2/app/blobs/" + sum([]byte("layer")))
	repair(digest, "b")
	if !b.complete(digest) {
		t.Error("the layer is not there again")
	}
	old := x.at["b"].image("v1", "older")
	repair("v1", "b")
	if got := sum(b.get("/v2/app/manifests/v1")); got != digest {
		t.Errorf("the tag names %s, not %s; before %s", got, digest, old)
	}
	x.remove("v1", digest, "a")
	x.Enqueue(x.last("v1"))
	x.settled("b", "c")
	b.image("v1", "layer")
	repair("v1", "b")
	if b.get("/v2/app/manifests/v1") != nil {
		t.Error("what was deleted is there again")
	}
}

// TestRepairOfThePast: what was written since somebody looked is left alone.
func TestRepairOfThePast(t *testing.T) {
	x := newRegion(t)
	x.run()
	x.running()
	seen := x.push("v1", x.at["a"].image("v1", "first"), "a")
	seen.Confirmed = []string{"a", "b", "c"}
	second := x.at["b"].image("v1", "second")
	x.push("v1", second, "b")
	if err := x.Repair(t.Context(), seen, "b"); err != nil || sum(x.at["b"].get("/v2/app/manifests/v1")) != second {
		t.Errorf("put back, %v", err)
	}
	x.remove("v1", second, "b")
	c := x.at["c"] // to which the second may be under way, until the engine hears that it is gone
	err := x.Repair(t.Context(), seen, "c")
	if err != nil || c.requests("PUT /v2/app/manifests/v1") != 0 ||
		c.requests("PUT /v2/app/manifests/"+seen.Digest) != 0 {
		t.Errorf("brought back: %v, %q", err, c.log)
	}
}

func TestRepairByNobody(t *testing.T) {
	x := newRegion(t)
	e := x.push("v1", x.at["a"].image("v1", "layer"), "a")
	_ = x.Confirm(e, "b")
	if err := x.Repair(t.Context(), x.last("v1"), "b"); !errors.Is(err, errStopped) {
		t.Errorf("before it runs: %v", err)
	}
	x.run()
	x.running()
	x.settled("b", "c")
	for name, fleet := range map[string]Fleet{
		"another serves it": three(func(f *Fleet) { f.Assigned = []string{"a", "c"} }),
		"it is down":        three(on("b", func(r *Replica) { r.Up = false })),
		"left out":          three(on("b", func(r *Replica) { r.LeftOut = func(string) bool { return true } })),
		"no source is up": three(on("a", func(r *Replica) { r.Up = false }),
			on("c", func(r *Replica) { r.Up = false })),
		"one storage": three(on("a", func(r *Replica) { r.Storage = "s" }),
			on("b", func(r *Replica) { r.Storage = "s" }),
			on("c", func(r *Replica) { r.Up = false })),
	} {
		x.fleet.Store(&fleet)
		if err := x.Repair(t.Context(), x.last("v1"), "b"); !errors.Is(err, errNotServed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRepairWaits: of one name there is one thing under way; whoever waits for it may go away, and is told of a stop.
func TestRepairWaits(t *testing.T) {
	x := newRegion(t)
	began, end := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && first.CompareAndSwap(false, true) {
			close(began)
			<-end
		}
		return false
	})
	digest := x.at["a"].image("v1", "layer")
	x.push("v1", digest, "a")
	stop := x.run()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Repair(ctx, x.last("v1"), "b"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	done := make(chan error, 1)
	e := x.last("v1")
	go func() { done <- x.Repair(context.Background(), e, "b") }()
	close(end)
	if err := <-done; err != nil || !x.at["b"].complete("v1") {
		t.Errorf("%v", err)
	}
	if n := x.at["b"].requests("POST "); n != 2 {
		t.Errorf("%d uploads: %q", n, x.at["b"].log)
	}
	stop()
	if err := x.Repair(t.Context(), x.last("v1"), "b"); !errors.Is(err, errStopped) {
		t.Error(err)
	}
}

func TestProvisioning(t *testing.T) {
	var surveyed atomic.Bool
	x := newRegion(t)
	x.surveyed = func(replica string) bool { return surveyed.Load() || replica == "a" }
	x.run()
	states := func() string {
		var s []string
		for _, p := range x.Progress() {
			s = append(s, string(p.State))
		}
		return strings.Join(s, " ")
	}
	x.eventually(func() bool { return states() == "Ready Provisioning Provisioning" })
	surveyed.Store(true)
	x.Wake()
	x.eventually(func() bool { return states() == "Ready Ready Ready" })
}

// indexedLater is a ledger that does not know at first what b lacks.
type indexedLater struct {
	*fakeLedger
	unknown *atomic.Bool
}

func (l indexedLater) Pending(replica string, after ledger.Cursor, limit int) ([]ledger.Entry, ledger.Cursor, error) {
	if l.unknown.Load() {
		return nil, "", nil
	}
	return l.fakeLedger.Pending(replica, after, limit)
}

// TestReadyOnlyWhenFilled: a replica that was scanned for before it was known what it lacks is not Ready by that, and
// is filled at once.
func TestReadyOnlyWhenFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, unknown := newFakeLedger(), (*atomic.Bool)(nil)
		kept.push("v1", sum(nil), "a")
		x := newInBubble(t, nil, func(o *Options) {
			unknown = &o.Gateway.(*inBubble).unsurveyed
			unknown.Store(true)
			o.Ledger = indexedLater{kept, unknown}
		})
		synctest.Wait()
		if p := x.Progress()[0]; p.State != Provisioning {
			t.Errorf("before the survey: %+v", p)
		}
		unknown.Store(false)
		if p := x.Progress()[0]; p.State != Provisioning {
			t.Errorf("by a scan from before the survey: %+v", p)
		}
		x.Wake()
		synctest.Wait()
		if p := x.Progress()[0]; p.State != Syncing || p.Entries != 2 || x.asked.Load() == 0 {
			t.Errorf("after the survey: %+v, %d requests", p, x.asked.Load())
		}
	})
}
