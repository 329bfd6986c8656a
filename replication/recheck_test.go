package replication

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// hears has the engine know that the ledger has changed: by entries, or by more of them than it can take.
func (x *region) hears(byEntries bool, what ...string) {
	if !byEntries {
		x.Engine.mu.Lock()
		x.overflowed = true
		x.Engine.mu.Unlock()
		x.Wake()
		return
	}
	for _, name := range what {
		x.Enqueue(x.last(name))
	}
}

// TestLaterWriteHeardLate: a client writes to the replica itself a moment before we do, by way of a gateway whose
// ledger we hear of only when ours is long confirmed. What the ledger says then is what the replica has.
func TestLaterWriteHeardLate(t *testing.T) {
	image, other := imageOf("config of layer", "layer"), imageOf("config of other", "other")
	digest := sum(image)
	gone := func(s *store, name string) {
		s.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, "/v2/app/manifests/"+name, nil))
	}
	for _, c := range []struct {
		name   string
		before func(x *region)
		method string // ours, of what
		of     string
		client func(b *store)
		record func(x *region)
		about  []string
		want   string // what b has by the name, "" for nothing
	}{
		{
			"a tag is pushed", func(x *region) { x.push("v1", x.at["a"].image("v1", "layer"), "a") }, http.MethodPut,
			"v1",
			func(b *store) { b.image("v1", "other") }, func(x *region) { x.push("v1", sum(other), "b") },
			[]string{"v1", sum(other)}, sum(other),
		},
		{
			"a tag is deleted", func(x *region) { x.push("v1", x.at["a"].image("v1", "layer"), "a") }, http.MethodPut,
			"v1",
			func(b *store) { gone(b, "v1") }, func(x *region) { x.remove("v1", digest, "b") }, []string{"v1"}, "",
		},
		{
			"a manifest is deleted", func(x *region) { x.push(digest, x.at["a"].image("", "layer"), "a") },
			http.MethodPut,
			digest,
			func(b *store) { gone(b, digest) }, func(x *region) { x.remove(digest, digest, "b") }, []string{digest}, "",
		},
		{
			"a deleted tag is pushed", func(x *region) { x.at["b"].image("v1", "layer"); x.remove("v1", digest, "a") },
			http.MethodDelete, "v1",
			func(b *store) { b.image("v1", "layer") }, func(x *region) { x.push("v1", digest, "b") }, []string{"v1"},
			digest,
		},
		{
			"a deleted manifest is pushed", func(x *region) {
				x.at["b"].image("", "layer")
				x.remove(digest, digest,
					"a")
			},
			http.MethodDelete, digest,
			func(b *store) { b.image("", "layer") },
			func(x *region) { x.at["c"].image("", "layer"); _ = x.Confirm(x.push(digest, digest, "b"), "c") },
			[]string{digest}, digest,
		},
	} {
		for _, byEntries := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, by entries %v", c.name, byEntries), func(t *testing.T) {
				x := newRegion(t)
				only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
				x.fleet.Store(&only)
				c.before(x)
				b := x.at["b"]
				var once atomic.Bool
				b.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
					if r.Method == c.method && strings.HasSuffix(r.URL.Path, "/manifests/"+c.of) &&
						once.CompareAndSwap(false, true) {
						c.client(b)
					}
					return false
				})
				x.run()
				x.settled("b")
				x.idle()
				has := func() string {
					if body := b.get("/v2/app/manifests/" + c.of); body != nil {
						return sum(body)
					}
					return ""
				}
				if !once.Load() || has() == c.want {
					t.Fatalf("ours is not the last: %q", b.log)
				}
				c.record(x)
				x.hears(byEntries, c.about...)
				x.eventually(func() bool { return has() == c.want })
				x.idle()
				requests := len(b.log)
				x.hears(byEntries, c.about...)
				x.idle()
				if len(b.log) != requests || len(x.Failures()) != 0 {
					t.Errorf("written again and again: %q, %v", b.log, x.Failures())
				}
			})
		}
	}
}

// TestRecheckMissing: what a replica does not have any more is looked at; where others delete unseen, not before they
// are done.
func TestRecheckMissing(t *testing.T) {
	for _, unseen := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			kept := newFakeLedger()
			image := sum([]byte("image"))
			kept.push(image, image, "b")
			v1 := kept.push("v1", image, "b")
			x := newInBubble(t, kept, func(o *Options) { o.UnseenDeletes = unseen })
			synctest.Wait()
			x.asked.Store(0)
			x.RecheckMissing("b", v1.Reference)
			synctest.Wait()
			if at := x.asked.Load(); at > 0 == unseen {
				t.Errorf("others delete unseen: %v; at once b is asked %d times", unseen, at)
			}
			time.Sleep(recheckDelay)
			synctest.Wait()
			if x.asked.Load() == 0 {
				t.Errorf("others delete unseen: %v; b is never asked", unseen)
			}
		})
	}
}

// TestRecheckMissingIsPending until it is there again; where others delete unseen and nobody has it, it was deleted.
func TestRecheckMissingIsPending(t *testing.T) {
	for _, unseen := range []bool{false, true} {
		x := newRegion(t, func(o *Options) { o.UnseenDeletes = unseen })
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		a, b := x.at["a"], x.at["b"]
		image := a.image("v1", "layer")
		v1 := x.push("v1", image, "a")
		x.push(image, image, "a")
		x.run()
		x.settled("b")
		x.idle()
		pending := func() int { return x.Progress()[0].Entries }
		if n := pending(); n != 0 {
			t.Errorf("%d pending at the beginning", n)
		}
		var refuses atomic.Bool
		refuses.Store(true)
		b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !refuses.Load() {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		})
		b.drop("/v2/app/manifests/v1")
		b.drop("/v2/app/manifests/" + image)
		x.RecheckMissing("b", v1.Reference)
		x.eventually(func() bool { return pending() == 1 })
		x.idle()
		if n := pending(); n != 1 {
			t.Errorf("%d pending while it cannot be copied", n)
		}
		refuses.Store(false)
		if unseen {
			a.drop("/v2/app/manifests/v1")
			a.drop("/v2/app/manifests/" + image)
		}
		if unseen { // one that cannot say so may have it
			away := three(func(f *Fleet) { f.Assigned, f.Replicas[0].Up = []string{"b"}, false })
			x.fleet.Store(&away)
			x.Recheck("b", v1.Reference)
			x.idle()
			if n := pending(); n != 1 {
				t.Errorf("%d pending while who has it is down", n)
			}
			x.fleet.Store(&only)
		}
		x.Recheck("b", v1.Reference)
		x.idle()
		if there := b.complete("v1"); pending() != 0 || there == unseen {
			t.Errorf("others delete unseen: %v; %d pending in the end, there: %v", unseen, pending(), there)
		}
	}
}

// TestLost: what was deleted under a client's push, and nobody else has, is called lost, and comes when somebody has
// it.
func TestLost(t *testing.T) {
	var mu sync.Mutex
	var lines bytes.Buffer
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return lines.String()
	}
	for _, inTime := range []bool{true, false} {
		t.Run(fmt.Sprintf("heard in time: %v", inTime), func(t *testing.T) {
			lines.Reset()
			x := newRegion(t, func(o *Options) {
				o.Log = slog.New(slog.NewTextHandler(locked{&mu, &lines}, &slog.HandlerOptions{Level: slog.LevelError}))
			})
			only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
			x.fleet.Store(&only)
			digest := x.at["b"].image("", "layer")
			x.remove(digest, digest, "a")
			var once atomic.Bool
			x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodDelete && once.CompareAndSwap(false, true) && inTime {
					x.push(digest, digest, "b")
				}
				return false
			})
			x.run()
			if !inTime {
				x.settled("b")
				x.Enqueue(x.push(digest, digest, "b"))
			}
			x.eventually(func() bool { return strings.Contains(said(), digest) })
			x.at["c"].image("", "layer")
			_ = x.Confirm(x.last(digest), "c")
			x.Enqueue(x.last(digest))
			x.eventually(func() bool { return x.at["b"].complete(digest) })
		})
	}
}

type locked struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// TestManyRechecks: the oldest writes are not remembered any more.
func TestManyRechecks(t *testing.T) {
	x := newRegion(t)
	var incoming []ledger.Entry
	for n := range 2 * maxRecentWrites {
		e := x.push(fmt.Sprintf("v%d", n), sum(nil), "b")
		x.rememberWriteDone("b", e.Reference, hlc.Stamp{})
		incoming = append(incoming, e)
	}
	x.Update(Settings{})
	x.startRechecks(t.Context(), "b", incoming, false)
	if n := len(x.rechecks["b"].names); n != maxRecentWrites {
		t.Errorf("%d names", n)
	}
	if x.startRechecks(t.Context(), "c", incoming, true); len(x.rechecks["c"].names) != 0 {
		t.Error("another's")
	}
}
