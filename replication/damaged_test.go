package replication

import (
	"net/http"
	"strings"
	"testing"
)

// TestDamaged: a replica that keeps what came of a request that broke off gets the manifest anew; one that does not
// take it back is not said to have it.
func TestDamaged(t *testing.T) {
	for _, takes := range []bool{true, false} {
		x := newRegion(t)
		only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
		x.fleet.Store(&only)
		digest := x.at["a"].image("v1", "layer")
		b := x.at["b"]
		b.put("/v2/app/manifests/"+digest, typeImage, []byte(`{"schemaVersion":`))
		if !takes {
			b.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				refuses := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, digest)
				if refuses {
					w.WriteHeader(http.StatusCreated)
				}
				return refuses
			})
		}
		x.push("v1", digest, "a")
		x.run()
		if takes {
			x.settled("b")
		} else {
			x.eventually(func() bool { return len(x.Failures()) == 1 })
		}
		if got := sum(b.get("/v2/app/manifests/" + digest)); (got == digest) != takes ||
			(x.pending("b") == 0) != takes {
			t.Errorf("takes it %v: it has %s, %d pending, %v", takes, got, x.pending("b"), x.Failures())
		}
	}
}
