package replication

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// TestRecheckFailsOnce: a name whose repair fails is rechecked again.
func TestRecheckFailsOnce(t *testing.T) {
	other := imageOf("config of other", "other")
	for _, deletes := range []bool{false, true} {
		x := newRegion(t)
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		digest := x.at["a"].image("v1", "layer")
		x.push("v1", digest, "a")
		b := x.at["b"]
		var once, fail, failed atomic.Bool
		b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if (r.Method != http.MethodPut && r.Method != http.MethodDelete) ||
				!strings.HasSuffix(r.URL.Path, "/manifests/v1") {
				return false
			}
			if once.CompareAndSwap(false, true) { // the client is first
				if deletes {
					b.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/v1",
						nil))
				} else {
					b.image("v1", "other")
				}
				return false
			}
			if fail.Load() {
				failed.Store(true)
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		})
		x.run()
		x.settled("b")
		x.idle()
		want := ""
		if deletes {
			x.remove("v1", digest, "b")
		} else {
			x.push("v1", sum(other), "b")
			want = sum(other)
		}
		fail.Store(true)
		x.hears(true, "v1")
		x.eventually(failed.Load)
		x.idle()
		fail.Store(false)
		has := func() string {
			if body := b.get("/v2/app/manifests/v1"); body != nil {
				return sum(body)
			}
			return ""
		}
		x.eventually(func() bool { x.hears(false); return has() == want })
	}
}

// TestRepairFailsOnce: the same, where the later write is heard of while ours is under way.
func TestRepairFailsOnce(t *testing.T) {
	other := imageOf("config of other", "other")
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	digest := x.at["a"].image("v1", "layer")
	x.push("v1", digest, "a")
	b := x.at["b"]
	var puts atomic.Int32
	b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			return false
		}
		switch puts.Add(1) {
		case 1:
			b.image("v1", "other")
			x.push("v1", sum(other), "b")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	x.run()
	x.eventually(func() bool { return puts.Load() >= 2 })
	x.eventually(func() bool { x.hears(false); return sum(b.get("/v2/app/manifests/v1")) == sum(other) })
}

// untagging is a registry that deletes tags with their digest.
func untagging(s *store, tags ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "sha256:") {
			for _, tag := range tags {
				s.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/"+tag, nil))
			}
		}
		return false
	}
}

// TestTagGoesWithItsDigest: a tag that a client has just pushed, and that went with the digest that we deleted there,
// comes back.
func TestTagGoesWithItsDigest(t *testing.T) {
	for _, inTime := range []bool{false, true} {
		x := newRegion(t)
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		b := x.at["b"]
		digest := b.image("", "layer")
		x.remove(digest, digest, "a")
		untag := untagging(b, "v2")
		record := func() {
			x.at["c"].image("v2", "layer")
			e := x.push("v2", digest, "b")
			_ = x.Confirm(e, "c")
			_ = x.Confirm(x.last(digest), "c")
		}
		var once atomic.Bool
		b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete && once.CompareAndSwap(false, true) {
				b.image("v2", "layer") // the client, a moment before us
				if inTime {
					record()
				}
			}
			return untag(w, r)
		})
		x.run()
		if !inTime {
			x.settled("b")
			x.idle()
			record()
			x.hears(true, "v2", digest)
		}
		x.eventually(func() bool { return b.complete(digest) })
		x.eventually(func() bool { x.hears(false); return b.complete("v2") })
	}
}

// TestBlobAgain: a blob whose older deletion we did over a client's upload comes back.
func TestBlobAgain(t *testing.T) {
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	b := x.at["b"]
	what := ledger.Reference{Repository: "app", Name: sum([]byte("layer")), Blob: true}
	b.blob([]byte("layer"))
	x.write(what, what.Name, "a", true)
	var once atomic.Bool
	gone := atomic.Bool{}
	b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/blobs/") {
			once.Store(true)
			gone.Store(true)
			w.WriteHeader(http.StatusAccepted)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/"+what.Name) && gone.Load() {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/uploads") {
			gone.Store(false)
		}
		return false
	})
	x.run()
	x.eventually(once.Load)
	x.settled("b")
	x.idle()
	x.at["c"].blob([]byte("layer"))
	x.at["a"].blob([]byte("layer"))
	e := x.write(what, what.Name, "b", false)
	_ = x.Confirm(e, "c")
	_ = x.Confirm(e, "a")
	e, _, _ = x.Get(what)
	x.Enqueue(e)
	x.eventually(func() bool { x.hears(false); return !gone.Load() })
}

// TestConfirmsWhatItBrought: a digest that the target had is deleted there, and pushed elsewhere, while its referrers
// are asked for. Its tag has moved on, so nothing puts it, and the later push is not confirmed.
func TestConfirmsWhatItBrought(t *testing.T) {
	other := imageOf("config of other", "other")
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	a, b := x.at["a"], x.at["b"]
	digest := a.image("v1", "layer")
	b.image("", "layer") // b has the digest, not the tag
	x.push("v1", digest, "a")
	_ = x.Confirm(x.last(digest), "b")
	var once atomic.Bool
	a.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") && once.CompareAndSwap(false, true) {
			b.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/"+digest, nil))
			x.remove(digest, digest, "b") // by way of b
			a.image("v1", "other")
			x.push("v1", sum(other), "a")
			x.push(digest, digest, "a") // and pushed again, at a
		}
		return false
	})
	x.run()
	x.eventually(once.Load)
	x.idle()
	if last := x.last(digest); slices.Contains(last.Confirmed, "b") && !b.complete(digest) {
		t.Errorf("b is said to have what it does not: %v", last)
	}
}
