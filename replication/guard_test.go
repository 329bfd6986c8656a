package replication

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// TestPushedBeforeItIsUndone: the source of a copy has lost the blob, so that the copy is to be undone; a client
// pushes the blob to the target before that, which the ledger knows.
func TestPushedBeforeItIsUndone(t *testing.T) {
	for _, anew := range []bool{false, true} {
		x := newRegion(t, func(o *Options) { o.UnseenDeletes = true })
		layer := []byte("layer")
		blob := ledger.Reference{Repository: "app", Name: sum(layer), Blob: true}
		a, b := x.at["a"], x.at["b"]
		a.blob(layer)
		path := "/v2/app/blobs/" + blob.Name
		committed := newGate()
		committed.at(b, http.MethodPut, "/uploads/", true)
		var asked atomic.Bool
		x.run()
		x.eventually(func() bool {
			x.Committed(Blob{"app", blob.Name, "a"})
			select {
			case <-committed.reached:
				return true
			default:
				return false
			}
		})
		a.drop(path)
		if anew {
			a.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, path) &&
					asked.CompareAndSwap(false, true) {
					x.write(blob, blob.Name, "b", false)
				}
				return false
			})
		}
		close(committed.open)
		x.idle()
		if there := b.get(path) != nil; there != anew || asked.Load() != anew {
			t.Errorf("pushed anew: %v, there: %v, %q", anew, there, b.log)
		}
	}
}

// byDigestAlone is a registry that deletes no tags, and takes them away with what they name.
func byDigestAlone(s *store, tag string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		reference := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		switch {
		case r.Method != http.MethodDelete || !strings.Contains(r.URL.Path, "/manifests/"):
			return false
		case reference == tag:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		case sum(s.get("/v2/app/manifests/"+tag)) == reference:
			s.drop("/v2/app/manifests/" + tag)
		}
		return false
	}
}

// TestDeletionFailsOverAPush: a tag is pushed anew while it is deleted, and what we put over it stays, since the last
// step of the deletion fails; or that step is done, and says that it has failed.
func TestDeletionFailsOverAPush(t *testing.T) {
	other := imageOf("config of other", "other")
	for _, done := range []bool{false, true} {
		x := newRegion(t)
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		b := x.at["b"]
		digest := b.image("v1", "layer")
		x.push("v1", digest, "b")
		x.remove("v1", digest, "a")
		var over, failed atomic.Bool
		deletes := byDigestAlone(b, "v1")
		b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") &&
				over.CompareAndSwap(false, true):
				b.image("v1", "other")
				x.Enqueue(x.push("v1", sum(other), "b"))
			case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/manifests/sha256:") && over.Load() &&
				failed.CompareAndSwap(false, true):
				if done {
					deletes(httptest.NewRecorder(), r)
				}
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return deletes(w, r)
		})
		x.run()
		x.eventually(failed.Load)
		x.idle()
		if got := sum(b.get("/v2/app/manifests/v1")); got != sum(other) {
			t.Errorf("done: %v, v1 names %s: %q", done, got, b.log)
		}
	}
}

// TestRecheckWhileItIsWritten: what is there meanwhile says nothing about how it ends.
func TestRecheckWhileItIsWritten(t *testing.T) {
	x := newRegion(t)
	b := x.at["b"]
	entry := x.push("v1", b.image("v1", "layer"), "b")
	x.rememberWriteBegun("b", entry.Reference, hlc.Stamp{})
	done, _, err := x.Writes.Delete(t.Context(), writeName("b", entry.Reference))
	if err != nil {
		t.Fatal(err)
	}
	for _, writing := range []bool{true, false} {
		if err := x.recheckName(t.Context(), "b", entry.Reference); err != nil ||
			x.mayBeOverwritten("b", entry) != writing {
			t.Errorf("written meanwhile: %v, to be rechecked: %v, %v", writing, x.mayBeOverwritten("b", entry), err)
		}
		done()
	}
}

// TestDeletionDoesNotWaitForEver: while a client's upload is slow, another deletion has its turn.
func TestDeletionDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newFakeLedger()
		x := newInBubble(t, kept)
		entry := kept.remove("v1", sum(nil), "a")
		done, err := x.Writes.Hold(t.Context(), writeName("b", entry.Reference))
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		x.Enqueue(entry)
		x.until(func(failures []Failure) bool { return len(failures) > 0 })
		if failures := x.Failures(); len(failures) != 1 || failures[0].Reason != errBusy.Error() ||
			x.asked.Load() != 0 {
			t.Errorf("%v, asked %d", failures, x.asked.Load())
		}
	})
}

// TestAnUndoneTagIsNotConfirmed: the source has lost a tag, which the ledger does not know, before it is copied or
// right after. The target does not have it, and nobody is told that it does.
func TestAnUndoneTagIsNotConfirmed(t *testing.T) {
	for _, after := range []bool{false, true} {
		x := newRegion(t, func(o *Options) { o.UnseenDeletes = true })
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		a, b := x.at["a"], x.at["b"]
		x.push("v1", a.image("v1", "layer"), "a")
		if !after {
			a.drop("/v2/app/manifests/v1")
		}
		b.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") {
				a.drop("/v2/app/manifests/v1")
			}
			return false
		})
		x.run()
		x.failed(1)
		x.idle()
		if at := x.last("v1").Confirmed; slices.Contains(at, "b") || b.get("/v2/app/manifests/v1") != nil {
			t.Errorf("lost after the copy: %v, confirmed by %q: %q", after, at, b.log)
		}
		if puts := b.requests("PUT /v2/app/manifests/v1"); puts > 1 || !after && puts > 0 {
			t.Errorf("it is put, and undone: %q", b.log)
		}
	}
}

// TestNoStandInOverALiveTag: a tag is pushed anew, as it was, while the stand-in for its deletion is being made.
func TestNoStandInOverALiveTag(t *testing.T) {
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	b := x.at["b"]
	digest := b.image("v1", "layer")
	x.remove("v1", digest, "a")
	var anew atomic.Bool
	deletes := byDigestAlone(b, "v1")
	b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && anew.CompareAndSwap(false, true) {
			x.push("v1", digest, "b")
		}
		return deletes(w, r)
	})
	x.run()
	x.eventually(anew.Load)
	x.idle()
	// Once, as it was pushed, since a deletion had begun.
	if puts := b.requests("PUT /v2/app/manifests/v1"); puts > 1 || sum(b.get("/v2/app/manifests/v1")) != digest {
		t.Errorf("it was given to the stand-in: %q", b.log)
	}
}

// TestACommitComesAboutLate: a copy ended without an answer, and its commit comes about long after it was deleted, or
// undone.
func TestACommitComesAboutLate(t *testing.T) {
	unsaid := &transfer.Error{Replica: "b", Method: http.MethodPut}
	for _, undone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			kept := newFakeLedger()
			x := newInBubble(t, kept)
			x.blob.Store(http.StatusNotFound)
			blob := ledger.Reference{Repository: "app", Name: sum(nil), Blob: true}
			if undone {
				entry := kept.write(blob, blob.Name, "b", true)
				x.undo(t.Context(), "b", blob, isDeleted, unsaid)
				x.Enqueue(entry)
			} else {
				_, done, err := x.Writes.Write(t.Context(), writeName("b", blob))
				if err != nil {
					t.Fatal(err)
				}
				done(unsaid)
				time.Sleep(time.Minute)
				x.Enqueue(kept.write(blob, blob.Name, "a", true))
				x.until(func([]Failure) bool {
					now, _, _ := kept.Get(blob)
					return slices.Contains(now.Confirmed,
						"b")
				})
			}
			for _, after := range []time.Duration{2 * time.Minute, 5 * time.Minute} {
				time.Sleep(after)
				x.blob.Store(http.StatusOK)
				time.Sleep(6 * time.Minute)
				if x.blob.Load() != http.StatusNotFound {
					t.Errorf("undone: %v, it is there %v later", undone, after)
				}
			}
		})
	}
}

// TestTrySourcesEndsUncertain: what may yet be committed is not tried from another source, and is not forgotten.
func TestTrySourcesEndsUncertain(t *testing.T) {
	var tried []string
	err := trySources([]string{"a", "c"}, "b", func(from string) error {
		tried = append(tried, from)
		return &transfer.Error{Replica: from, Method: http.MethodPut, Status: http.StatusServiceUnavailable}
	})
	if !transfer.Uncertain(err) || len(tried) != 1 {
		t.Error(err, tried)
	}
}

// TestRecordedLate: what a replica has accepted is recorded only after its config was asked for, and is not deleted
// until then.
func TestRecordedLate(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			kept := newFakeLedger()
			x := newInBubble(t, kept)
			x.blob.Store(http.StatusOK)
			blob := ledger.Reference{Repository: "app", Name: sum(nil), Blob: true}
			kept.write(blob, blob.Name, "b", true)
			x.Recheck("b", blob)
			time.Sleep(6 * time.Second)
			if recorded {
				kept.write(blob, blob.Name, "b", false)
			}
			time.Sleep(time.Minute)
			if there := x.blob.Load() == http.StatusOK; there != recorded {
				t.Errorf("recorded: %v, there: %v", recorded, there)
			}
		})
	}
}
