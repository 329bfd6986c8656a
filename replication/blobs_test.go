package replication

import (
	"net/http"
	"strings"
	"testing"
)

// TestMount: a blob is mounted from another repository where a source has it in this one, too, and copied where the
// mount is refused; what only the other repository has is not given away.
func TestMount(t *testing.T) {
	for _, c := range []struct {
		name           string
		atSource       bool
		mounts         bool // the target does that
		mounted, there bool
	}{
		{"mounted", true, true, true, true},
		{"refused", true, false, true, true},
		{"of another repository", false, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRegion(t)
			layer := []byte("layer")
			digest := sum(layer)
			x.at["a"].put("/v2/private/blobs/uploads/?digest="+digest, "application/octet-stream", layer)
			// The registry in memory shares blobs between repositories: here they are told apart.
			asked, has := false, false
			x.at["a"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if c.atSource || r.URL.Path != "/v2/app/blobs/"+digest {
					return false
				}
				w.WriteHeader(http.StatusNotFound)
				return true
			})
			x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.URL.Query().Has("mount"):
					asked, has = true, c.mounts
					status := http.StatusForbidden
					if c.mounts {
						status = http.StatusCreated
					}
					w.WriteHeader(status)
					return true
				case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v2/app/"):
					has = true
				case r.URL.Path == "/v2/app/blobs/"+digest && !has:
					w.WriteHeader(http.StatusNotFound)
					return true
				}
				return false
			})
			b := newBlobs(t.Context(), x.Engine)
			if err := b.ensure(t.Context(), blobKey{"b", "private", digest}, 0, []string{"a"}); err != nil {
				t.Fatal(err)
			}
			err := b.ensure(t.Context(), blobKey{"b", "app", digest}, 0, []string{"a"})
			if asked != c.mounted || has != c.there || (err == nil) != c.there {
				t.Errorf("asked for a mount: %v, there: %v, %v", asked, has, err)
			}
		})
	}
}
