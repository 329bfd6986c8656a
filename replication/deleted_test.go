package replication

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// gate holds one request of a replica open: before it is served, or before its answer is sent.
type gate struct {
	reached, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) hold() {
	g.once.Do(func() {
		close(g.reached)
		<-g.open
	})
}

func (g *gate) at(of *store, method, path string, served bool) {
	of.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, path) {
			return false
		}
		if served {
			answer := httptest.NewRecorder()
			of.registry.ServeHTTP(answer, r)
			g.hold()
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return true
		}
		g.hold()
		return false
	})
}

func (s *store) drop(path string) {
	s.registry.ServeHTTP(&discard{}, httptest.NewRequest(http.MethodDelete, path, nil))
}

// TestDeletedWhileItIsCopied: a copy is held open at each of its steps while what it copies is deleted. When all is
// confirmed, and ever after, the replica does not have it.
func TestDeletedWhileItIsCopied(t *testing.T) {
	layer := []byte("a layer")
	blob := ledger.Reference{Repository: "app", Name: sum(layer), Blob: true}
	image := imageOf("config of layer", "layer")
	type word int
	const (
		inTime    word = iota
		confirmed      // of a gateway that has confirmed it for the replica already
		late           // the same, when the copy has ended
		never          // of a gateway that we do not know
	)
	for _, c := range []struct {
		name, at, method, path string
		served                 bool
		manifest               bool
	}{
		{"before the target is asked", "b", http.MethodHead, "/blobs/", false, false},
		{"in the body", "a", http.MethodGet, "/blobs/", false, false},
		{"before the upload has begun", "b", http.MethodPost, "/uploads/", false, false},
		{"before the body has come", "b", http.MethodPatch, "/uploads/", false, false},
		{"before the commit", "b", http.MethodPut, "/uploads/", false, false},
		{"after the commit", "b", http.MethodPut, "/uploads/", true, false},
		{"before a manifest is put", "b", http.MethodPut, "/manifests/", false, true},
		{"after a manifest is put", "b", http.MethodPut, "/manifests/", true, true},
	} {
		for name, heard := range map[string]word{"in time": inTime, "confirmed": confirmed, "late": late,
			"never": never} {
			t.Run(c.name+", heard "+name, func(t *testing.T) {
				x := newRegion(t, func(o *Options) { o.UnseenDeletes = heard == never })
				only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
				x.fleet.Store(&only)
				a, b := x.at["a"], x.at["b"]
				g := newGate()
				g.at(x.at[c.at], c.method, c.path, c.served)
				what, kind := blob, "blobs"
				if c.manifest {
					what, kind = ledger.Reference{Repository: "app", Name: sum(image)}, "manifests"
					a.image("", "layer")
				} else {
					a.blob(layer)
				}
				path := fmt.Sprintf("/v2/app/%s/%s", kind, what.Name)
				x.run()
				if c.manifest {
					x.Enqueue(x.push(what.Name, what.Name, "a"))
				} else {
					x.eventually(func() bool { // until it runs
						x.Committed(Blob{"app", what.Name, "a"})
						select {
						case <-g.reached:
							return true
						default:
							return false
						}
					})
				}
				<-g.reached
				a.drop(path)
				switch heard {
				case inTime:
					x.Enqueue(x.write(what, what.Name, "a", true))
					close(g.open)
					x.settled("b")
				case confirmed:
					_ = x.Confirm(x.write(what, what.Name, "a", true), "b")
					close(g.open)
				case late:
					close(g.open)
					x.idle()
					e := x.write(what, what.Name, "a", true)
					_ = x.Confirm(e, "b")
					now, _, _ := x.Get(what)
					x.Enqueue(now)
				case never:
					close(g.open)
				}
				x.eventually(func() bool { return b.get(path) == nil && a.get(path) == nil })
				x.idle()
				if b.get(path) != nil || a.get(path) != nil {
					t.Errorf("it is there again: %q", b.log)
				}
			})
		}
	}
}

// TestPushedAnewWhileItIsDeleted: a deletion on its way to a replica does not take along what was pushed after it.
func TestPushedAnewWhileItIsDeleted(t *testing.T) {
	layer := []byte("layer")
	blob := ledger.Reference{Repository: "app", Name: sum(layer), Blob: true}
	x := newRegion(t)
	only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
	x.fleet.Store(&only)
	b := x.at["b"]
	b.blob(layer)
	g := newGate()
	g.at(b, http.MethodDelete, "/blobs/", false)
	x.run()
	x.Enqueue(x.write(blob, blob.Name, "a", true))
	<-g.reached
	digest := x.at["a"].image("v1", "layer")
	x.write(blob, blob.Name, "a", false)
	x.Enqueue(x.push("v1", digest, "a"))
	// The image waits for the deletion: what it finds there before may not be there after.
	close(g.open)
	x.eventually(func() bool { return b.complete("v1") })
	x.idle()
	if !b.complete("v1") {
		t.Errorf("%q", b.log)
	}
}

// TestDeletionsWaitForOthersWrites: who deletes waits for all that is written there, whoever writes it.
func TestDeletionsWaitForOthersWrites(t *testing.T) {
	blob := ledger.Reference{Repository: "app", Name: sum([]byte("layer")), Blob: true}
	x := newRegion(t)
	x.run()
	cut, done, err := x.Writes.Write(context.Background(), writeName("b", blob))
	if err != nil {
		t.Fatal(err)
	}
	e := x.write(blob, blob.Name, "a", true)
	x.Enqueue(e)
	<-cut.Done()
	x.settled("c")
	if now, _, _ := x.Get(blob); len(now.Confirmed) != 2 {
		t.Error("confirmed while it is written: ", now.Confirmed)
	}
	x.at["b"].blob([]byte("layer")) // the commit was under way
	done(nil)
	x.settled("b")
	if x.at["b"].get("/v2/app/blobs/"+blob.Name) != nil {
		t.Error("it is still there")
	}
}

// TestGivenOutAfterADeletion: a replica has accepted a deletion, and still has the blob in its cache. It is asked
// again, unless the blob was pushed anew meanwhile.
func TestGivenOutAfterADeletion(t *testing.T) {
	for _, anew := range []bool{false, true} {
		x := newRegion(t)
		b, layer := x.at["b"], []byte("layer")
		blob := ledger.Reference{Repository: "app", Name: sum(layer), Blob: true}
		b.blob(layer)
		x.write(blob, blob.Name, "b", true)
		looked := newGate()
		looked.at(b, http.MethodHead, "/blobs/", true)
		x.run()
		x.Recheck("b", blob)
		<-looked.reached
		if anew {
			x.write(blob, blob.Name, "b", false)
		}
		close(looked.open)
		x.idle()
		if there := b.get("/v2/app/blobs/"+blob.Name) != nil; there != anew || (b.requests("DELETE") > 0) == anew {
			t.Errorf("pushed anew: %v, there: %v, %q", anew, there, b.log)
		}
	}
}
