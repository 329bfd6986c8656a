package replication

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// TestPush: layers go as they are committed, the manifest after them, the tag last, and nothing twice.
func TestPush(t *testing.T) {
	x := newRegion(t)
	x.run()
	var layers []string
	size := int64(0)
	for n := range 5 {
		layers = append(layers, strings.Repeat(fmt.Sprint(n), 200_000))
		size += 200_000
	}
	for _, l := range layers {
		x.at["a"].blob([]byte(l))
		x.Committed(Blob{"app", sum([]byte(l)), "a"})
	}
	digest := x.at["a"].image("v1", layers...)
	size += int64(len(x.at["a"].get("/v2/app/blobs/" + sum([]byte("config of "+strings.Join(layers, ","))))))
	x.Enqueue(x.push("v1", digest, "a"))
	x.settled("b", "c")
	for _, name := range []string{"b", "c"} {
		s := x.at[name]
		if !s.complete("v1") || !s.complete(digest) {
			t.Errorf("%s is not complete", name)
		}
		if n := s.received.Load(); n > size*102/100 {
			t.Errorf("%s: %d bytes of %d", name, n, size)
		}
		if s.requests("POST ") != 6 || s.requests("PUT /v2/app/manifests/") != 2 {
			t.Errorf("%s: %q", name, s.log)
		}
		if last := s.log[len(s.log)-2:]; last[0] != "PUT /v2/app/manifests/"+digest ||
			last[1] != "PUT /v2/app/manifests/v1" {
			t.Errorf("%s: %q", name, s.log)
		}
	}
	if len(x.Failures()) != 0 {
		t.Error(x.Failures())
	}
	for _, p := range x.Progress() {
		if p.State != Ready || p.Entries != 0 || p.GivenUp != 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestBackfill: what the ledger knows from before is found without being told.
func TestBackfill(t *testing.T) {
	x := newRegion(t)
	for n := range 30 {
		x.push(fmt.Sprintf("v%d", n), x.at["a"].image(fmt.Sprintf("v%d", n), fmt.Sprint(n), "common"), "a")
	}
	x.run()
	x.settled("b", "c")
	for n := range 30 {
		if !x.at["b"].complete(fmt.Sprintf("v%d", n)) || !x.at["c"].complete(fmt.Sprintf("v%d", n)) {
			t.Errorf("v%d is not complete", n)
		}
	}
	if n := x.at["b"].requests("POST "); n != 30+30+1 {
		t.Errorf("%d uploads", n)
	}
}

func TestIndex(t *testing.T) {
	x := newRegion(t)
	a := x.at["a"]
	a.image("", "one")
	a.image("", "two")
	one, two := imageOf("config of one", "one"), imageOf("config of two", "two")
	inner := indexOf(two)
	a.manifest(sum(inner), inner)
	outer := indexOf(one, inner)
	a.manifest("v1", outer)
	x.push("v1", sum(outer), "a")
	x.run()
	x.settled("b", "c")
	for _, digest := range []string{sum(one), sum(two), sum(outer)} {
		if x.at["b"].get("/v2/app/manifests/"+digest) == nil {
			t.Errorf("%s is not there", digest)
		}
	}
	if !x.at["b"].complete("v1") || !x.at["b"].complete(sum(one)) || !x.at["b"].complete(sum(two)) {
		t.Error("a child is not complete")
	}
}

// TestSparse: that nobody has a child of an index is for the target to judge.
func TestSparse(t *testing.T) {
	x := newRegion(t)
	x.at["a"].image("", "one")
	index := indexOf(imageOf("config of one", "one"), imageOf("nowhere"))
	x.at["a"].breaks(has("/v2/app/manifests/"+sum(index), index))
	x.at["b"].breaks(takes(sum(index), "v1"))
	x.push("v1", sum(index), "a")
	x.run()
	x.settled("b")
	if !x.at["b"].complete(sum(imageOf("config of one", "one"))) ||
		x.at["b"].requests("PUT /v2/app/manifests/v1") != 1 {
		t.Errorf("%q", x.at["b"].log)
	}
	x.failed(1) // c takes no index whose children are missing
}

// has is a registry that holds what the one in memory would not take.
func has(path string, content []byte) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path && r.Method == http.MethodGet {
			w.Header().Set("Content-Type", typeIndex)
			w.Write(content)
			return true
		}
		return false
	}
}

// takes is a registry that takes manifests which the one in memory would not.
func takes(references ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut &&
			slices.ContainsFunc(references, func(s string) bool {
				return strings.HasSuffix(r.URL.Path,
					"/manifests/"+s)
			}) {
			w.WriteHeader(http.StatusCreated)
			return true
		}
		return false
	}
}

// TestReferrers: signatures are there before the tag is; one that is broken holds nothing up.
func TestReferrers(t *testing.T) {
	x := newRegion(t)
	a := x.at["a"]
	digest := a.image("v1", "layer")
	subject := imageOf("config of layer", "layer")
	signature := referrerOf(subject, "config of layer", "signed")
	broken := referrerOf(subject, "config of layer", "nobody has this")
	a.blob([]byte("signed"))
	a.manifest(sum(signature), signature)
	a.manifest(sum(broken), broken)
	x.push("v1", digest, "a")
	x.run()
	x.settled("b", "c")
	b := x.at["b"]
	if !b.complete(sum(signature)) || b.get("/v2/app/manifests/"+sum(broken)) != nil {
		t.Error("the signature is not there, or the broken one is")
	}
	if i := slices.Index(b.log, "PUT /v2/app/manifests/"+sum(signature)); i < 0 ||
		i > slices.Index(b.log, "PUT /v2/app/manifests/v1") {
		t.Errorf("%q", b.log)
	}
}

// TestWhatTheTargetHas: a manifest that is there without its layers is completed.
func TestWhatTheTargetHas(t *testing.T) {
	x := newRegion(t)
	digest := x.at["a"].image("v1", "layer")
	x.at["b"].manifest(digest, imageOf("config of layer", "layer"))
	x.push("v1", digest, "a")
	x.run()
	x.settled("b")
	if !x.at["b"].complete("v1") {
		t.Error("it is not complete")
	}
}

// TestNextSource: what one source has lost comes from another.
func TestNextSource(t *testing.T) {
	x := newRegion(t)
	for _, name := range []string{"b", "c"} {
		x.at[name].image("v1", "layer")
	}
	digest := sum(imageOf("config of layer", "layer"))
	_ = x.Confirm(x.push("v1", digest, "b"), "c")
	x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
		lost := strings.HasSuffix(r.URL.Path, sum([]byte("layer"))) || strings.Contains(r.URL.Path, "/manifests/")
		if lost {
			w.WriteHeader(http.StatusNotFound)
		}
		return lost
	})
	x.run()
	x.settled("a")
	if !x.at["a"].complete("v1") {
		t.Error("it is not complete")
	}
}

// TestNeverInPart: as long as a layer cannot be had there is neither manifest nor tag.
func TestNeverInPart(t *testing.T) {
	x := newRegion(t)
	digest := sum(imageOf("config of layer,lost", "layer", "lost"))
	for _, blob := range []string{"config of layer,lost", "layer"} {
		x.at["a"].blob([]byte(blob))
	}
	x.at["a"].manifest("v1", imageOf("config of layer,lost", "layer", "lost"))
	x.push("v1", digest, "a")
	x.run()
	for _, f := range x.failed(2) {
		if f.GivenUp || f.Tries != 1 || !strings.Contains(f.Reason, "no replica that should have it does") {
			t.Errorf("%+v", f)
		}
	}
	if n := x.at["b"].requests("PUT /v2/app/manifests/"); n != 0 {
		t.Errorf("%d manifests", n)
	}
	x.at["a"].blob([]byte("lost"))
	if n := x.Retry(func(f Failure) bool { return f.Task.Target == "b" }); n != 1 {
		t.Errorf("%d tried again", n)
	}
	x.settled("b")
	if !x.at["b"].complete("v1") {
		t.Error("it is not complete")
	}
}

// TestTagThatMovedOn: the tag of what was replaced while it was copied is not put.
func TestTagThatMovedOn(t *testing.T) {
	x := newRegion(t)
	first, second := x.at["a"].image("v1", "first"), x.at["a"].image("", "second")
	x.push("v1", first, "a")
	var moved atomic.Bool
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && moved.CompareAndSwap(false, true) {
			x.at["a"].manifest("v1", imageOf("config of second", "second"))
			x.Enqueue(x.push("v1", second, "a"))
		}
		return false
	})
	x.run()
	x.settled("b", "c")
	if n := x.at["b"].requests("PUT /v2/app/manifests/v1"); n != 1 ||
		sum(x.at["b"].get("/v2/app/manifests/v1")) != second {
		t.Errorf("%d times, %q", n, x.at["b"].log)
	}
	if !x.at["b"].complete(first) {
		t.Error("the older digest is not complete")
	}
}

// TestOverwritten: a client pushes the tag to the target itself while we put the older one there.
func TestOverwritten(t *testing.T) {
	x := newRegion(t)
	first := x.at["a"].image("v1", "first")
	x.push("v1", first, "a")
	second := sum(imageOf("config of second", "second"))
	var moved atomic.Bool
	b := x.at["b"]
	b.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/v1") && moved.CompareAndSwap(false, true) {
			b.image("v1", "second")
			x.push("v1", second, "b")
		}
		return false
	})
	x.run()
	x.eventually(func() bool { return moved.Load() && sum(b.get("/v2/app/manifests/v1")) == second })
	x.settled("b")
}

func TestDeletions(t *testing.T) {
	x := newRegion(t)
	for _, s := range x.at {
		s.image("v1", "layer")
	}
	b, c := x.at["b"], x.at["c"]
	digest := sum(imageOf("config of layer", "layer"))
	x.push("v1", digest, "a")
	x.remove("v1", digest, "a")
	x.remove(digest, digest, "a")
	x.write(ledger.Reference{Repository: "app", Name: sum([]byte("layer")), Blob: true}, sum([]byte("layer")), "a",
		true)
	x.write(ledger.Reference{Repository: "app", Name: sum([]byte("never there")), Blob: true},
		sum([]byte("never there")), "a", true)
	c.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodDelete
	})
	x.run()
	x.settled("b")
	if b.get("/v2/app/manifests/v1") != nil || b.get("/v2/app/manifests/"+digest) != nil ||
		b.get("/v2/app/blobs/"+sum([]byte("layer"))) != nil {
		t.Error("it is still there")
	}
	for _, f := range x.failed(3) {
		if !f.GivenUp || f.Task.Target != "c" || !strings.Contains(f.Reason, "405") {
			t.Errorf("%+v", f)
		}
	}
	c.breaks(nil)
	x.Retry(func(Failure) bool { return true })
	x.settled("c")
	x.failed(0)
	if c.get("/v2/app/manifests/v1") != nil {
		t.Error("it is still there")
	}
}

// TestNothingComesBack: what was deleted is not copied from where the deletion has not arrived.
func TestNothingComesBack(t *testing.T) {
	x := newRegion(t)
	a := x.at["a"]
	a.image("", "kept")
	a.image("", "deleted")
	kept, gone := imageOf("config of kept", "kept"), imageOf("config of deleted", "deleted")
	index := indexOf(kept, gone)
	a.manifest("v1", index)
	x.remove(sum(gone), sum(gone), "c")
	a.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodDelete
	})
	x.at["b"].breaks(takes(sum(index), "v1"))
	x.push("v1", sum(index), "a")
	x.run()
	x.settled("b")
	if !x.at["b"].complete(sum(kept)) || x.at["b"].get("/v2/app/manifests/"+sum(gone)) != nil {
		t.Error("not what it should be")
	}
}

// TestStop: Run returns when all that was under way has ended.
func TestStop(t *testing.T) {
	x := newRegion(t)
	began, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) })
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			close(began)
			io.Copy(io.Discard, r.Body)
			<-end
		}
		return false
	})
	x.push("v1", x.at["a"].image("v1", "layer"), "a")
	x.fleet.Store(&Fleet{Replicas: three().Replicas, Assigned: []string{"b"}})
	x.Update(Settings{Concurrency: 1})
	stop := x.run()
	<-began
	stop()
	if n := len(x.Failures()); n != 0 {
		t.Errorf("%d failures of what was only stopped", n)
	}
	x.Committed(Blob{"app", sum([]byte("layer")), "a"}) // says nothing to who has stopped
	x.Enqueue(x.push("v2", sum(nil), "a"))
}

// TestOutage: nothing is lost while a replica is away, and nothing is tried there.
func TestOutage(t *testing.T) {
	x := newRegion(t)
	away := three(on("b", func(r *Replica) { r.Up = false }))
	x.fleet.Store(&away)
	x.run()
	x.Enqueue(x.push("v1", x.at["a"].image("v1", "layer"), "a"))
	x.settled("c")
	if n := len(x.at["b"].log); n != 0 || len(x.Failures()) != 0 {
		t.Errorf("%d requests, %v", n, x.Failures())
	}
	back := three()
	x.fleet.Store(&back)
	x.Wake() // as when the fleet changes
	x.settled("b")
	if !x.at["b"].complete("v1") {
		t.Error("it is not complete")
	}
}

// TestManyIncoming: what there is no room for is found in the ledger.
func TestManyIncoming(t *testing.T) {
	x := newRegion(t)
	digest := x.at["a"].image("v0", "layer")
	var all []ledger.Entry
	for n := range maxIncoming + 1 {
		all = append(all, x.push(fmt.Sprintf("v%d", n), digest, "a"))
	}
	x.Enqueue(all...)
	if len(x.incoming) != 0 || !x.overflowed {
		t.Errorf("%d, %v", len(x.incoming), x.overflowed)
	}
	x.run()
	x.settled("b", "c")
}

// TestOnce: a blob that several want is copied once, and who wants it from elsewhere gets it from there.
func TestOnce(t *testing.T) {
	x := newRegion(t)
	content := strings.Repeat("x", 1000)
	x.at["a"].blob([]byte(content))
	arrived, goOn := make(chan struct{}), make(chan struct{})
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			close(arrived)
			<-goOn
		}
		return false
	})
	b := newBlobs(t.Context(), x.Engine)
	key := blobKey{"b", "app", sum([]byte(content))}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- b.ensure(t.Context(), key, 0, []string{"a"}) }()
	<-arrived
	go func() { second <- b.ensure(t.Context(), key, 0, []string{"c"}) }()
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil || x.at["b"].requests("POST ") != 1 {
		t.Errorf("%v, %q", err, x.at["b"].log)
	}
}

// TestMoved: who counts is told whose bytes went where.
func TestMoved(t *testing.T) {
	var mu sync.Mutex
	moved := map[string]int{}
	x := newRegion(t, func(o *Options) {
		o.Moved = func(source, target string, bytes int) {
			mu.Lock()
			defer mu.Unlock()
			moved[source+" "+target] += bytes
		}
	})
	layer := strings.Repeat("x", 300_000)
	digest := x.at["a"].image("v1", layer)
	x.push("v1", digest, "a")
	x.run()
	x.settled("b", "c")
	mu.Lock()
	defer mu.Unlock()
	want := len(layer) + len("config of "+layer) + len(x.at["a"].get("/v2/app/manifests/v1"))
	for _, pair := range []string{"a b", "a c"} {
		// A list of referrers, and no referrer, is all that comes beside it.
		if n := moved[pair]; n < want || n > want+1000 {
			t.Errorf("%s: %d bytes, not %d", pair, n, want)
		}
	}
	if len(moved) != 2 {
		t.Error(moved)
	}
}
