package replication

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tree stores indexes of indexes, each of which names all of the level below, and is told how many manifests that is.
func (s *store) tree(tag string, wide, deep int) (root string, manifests int) {
	var level [][]byte
	for n := range wide {
		layer := strings.Repeat("x", n)
		s.image("", layer)
		level = append(level, imageOf("config of "+layer, layer))
	}
	manifests = wide
	for range deep {
		var up [][]byte
		for n := range wide {
			index := encoded(map[string]any{
				"schemaVersion": 2, "mediaType": typeIndex, "manifests": descriptors(level),
				"annotations": map[string]string{"n": fmt.Sprint(n)},
			})
			s.manifest(sum(index), index)
			up = append(up, index)
		}
		level, manifests = up, manifests+wide
	}
	index := encoded(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": descriptors(level)})
	s.manifest(tag, index)
	return sum(index), manifests + 1
}

func descriptors(contents [][]byte) (list []any) {
	for _, c := range contents {
		mediaType := typeImage
		if strings.Contains(string(c), `"manifests"`) {
			mediaType = typeIndex
		}
		list = append(list, described(mediaType, c))
	}
	return list
}

// TestNestedIndexes: each digest is looked after once, and not all at a time, however many ways lead to it.
func TestNestedIndexes(t *testing.T) {
	const wide = 12
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	root, manifests := x.at["a"].tree("v1", wide, 2)
	var mu sync.Mutex
	asked, now, most := 0, 0, 0
	b := x.at["b"]
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked, now = asked+1, now+1
		most = max(most, now)
		mu.Unlock()
		b.ServeHTTP(w, r)
		mu.Lock()
		now--
		mu.Unlock()
	})
	x.push("v1", root, "a")
	x.run()
	x.settled("b")
	if !b.complete("v1") {
		t.Error("it is not complete")
	}
	mu.Lock()
	defer mu.Unlock()
	// Of a manifest GET and PUT, of a blob HEAD, POST, PATCH, PUT; the tag.
	if bound := 2*manifests + 4*2*wide + 2; asked > bound {
		t.Errorf("%d requests of %d manifests, not %d", asked, manifests, bound)
	}
	if most > 2*maxParallel+1 {
		t.Errorf("%d at a time", most)
	}
}

// TestDeletedMeanwhile: what is deleted everywhere while it is copied does not stay: a child, a referrer, the image
// itself.
func TestDeletedMeanwhile(t *testing.T) {
	one, two := imageOf("config of one", "one"), imageOf("config of two", "two")
	index := indexOf(one, two)
	signature := referrerOf(index, "config of one", "one")
	for _, c := range []struct {
		name, gone string
		method     string // of the target's request at which it is
		path       string
	}{
		{"a child, while its layers come", sum(one), http.MethodPatch, ""},
		{"a child, while it is put", sum(one), http.MethodPut, "/manifests/" + sum(one)},
		{"a referrer", sum(signature), http.MethodPut, "/manifests/" + sum(signature)},
		{"all of it", sum(index), http.MethodPut, "/manifests/" + sum(index)},
		{"all of it, while its tag is put", sum(index), http.MethodPut, "/manifests/v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRegion(t)
			only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
			x.fleet.Store(&only)
			a, b := x.at["a"], x.at["b"]
			a.image("", "one")
			a.image("", "two")
			a.manifest("v1", index)
			a.manifest(sum(signature), signature)
			x.push("v1", sum(index), "a")
			var once atomic.Bool
			b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == c.method && strings.HasSuffix(r.URL.Path, c.path) && once.CompareAndSwap(false, true) {
					b.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/"+c.gone,
						nil))
					if c.gone == sum(index) {
						_ = x.Confirm(x.remove("v1", c.gone, "a"), "b")
						b.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/v1",
							nil))
					}
					_ = x.Confirm(x.remove(c.gone, c.gone, "a"), "b")
					return false
				}
				return r.Method == http.MethodPut && c.gone != sum(index) && takes(sum(index), "v1")(w, r)
			})
			x.run()
			x.settled("b")
			x.idle()
			if !once.Load() || b.get("/v2/app/manifests/"+c.gone) != nil || len(x.Failures()) != 0 {
				t.Errorf("it is there again: %q, %v", b.log, x.Failures())
			}
		})
	}
}

// TestReferrerLater: a referrer that cannot be had now keeps neither the tag nor other referrers waiting, and is tried
// again.
func TestReferrerLater(t *testing.T) {
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	a, b := x.at["a"], x.at["b"]
	digest := a.image("v1", "layer")
	subject := imageOf("config of layer", "layer")
	var referrers []string
	for _, layer := range []string{"broken", "good", "good too"} {
		a.blob([]byte(layer))
		content := referrerOf(subject, "config of layer", layer)
		a.manifest(sum(content), content)
		referrers = append(referrers, sum(content))
	}
	a.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, sum([]byte("broken"))) {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	x.push("v1", digest, "a")
	x.run()
	if f := x.failed(1)[0]; f.GivenUp || f.Task.Digest != digest || !strings.Contains(f.Reason, referrers[0]) {
		t.Errorf("%+v", f)
	}
	if !b.complete("v1") || !slices.Contains(x.last("v1").Confirmed, "b") ||
		slices.Contains(x.last(digest).Confirmed, "b") {
		t.Errorf("%q, %v, %v", b.log, x.last("v1"), x.last(digest))
	}
	if b.get("/v2/app/manifests/"+referrers[0]) != nil || !b.complete(referrers[1]) || !b.complete(referrers[2]) {
		t.Errorf("not what can be had: %q", b.log)
	}
	a.breaks(nil)
	x.Retry(func(Failure) bool { return true })
	x.settled("b")
	if !b.complete(referrers[0]) {
		t.Error("the referrer is not there")
	}
}

// idle waits until nothing is under way.
func (x *region) idle() {
	x.t.Helper()
	x.eventually(func() bool {
		x.Engine.mu.Lock()
		defer x.Engine.mu.Unlock()
		if len(x.earlyBlobs) > 0 {
			return false
		}
		for _, w := range x.workers {
			if len(w.running)+w.queue.len() > 0 {
				return false
			}
		}
		for _, r := range x.rechecks {
			if len(r.names)+r.running > 0 {
				return false
			}
		}
		return true
	})
}
