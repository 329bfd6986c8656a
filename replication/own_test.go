package replication

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPushedBeforeItIsUndone: the source of a copy has lost the blob, so that the copy is to be undone; a client pushes the blob to the target
// before that, which the ledger knows.
func TestPushedBeforeItIsUndone(t *testing.T) {
	for _, anew := range []bool{false, true} {
		x := newRegion(t, func(o *Options) { o.Unheard = true })
		layer := []byte("layer")
		blob := Reference{"app", sum(layer), true}
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
				if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, path) && asked.CompareAndSwap(false, true) {
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
