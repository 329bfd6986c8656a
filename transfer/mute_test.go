package transfer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// TestMute: replicas that do not say how far an upload has come.
func TestMute(t *testing.T) {
	blob := content(900_000)
	for _, c := range []struct {
		name  string
		keeps bool // what came before a cut, and says nothing
		want  error
	}{
		{"all of a PATCH or nothing", false, nil},
		{"some of it", true, errSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			cuts, first := 0, true
			from := newFake(t, nil)
			from.has[sum(blob)] = blob
			to := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodGet:
					say(w, 400, "NAME_INVALID", "what is this")
					return true
				case r.Method == http.MethodPatch && (r.ContentLength > 10_000 || first):
					first = false
					cuts++
					part, _ := io.ReadAll(io.LimitReader(r.Body, 5_000))
					if c.keeps {
						f.mu.Lock()
						f.upload = append(f.upload, part...)
						f.mu.Unlock()
					}
					cut()
				case r.Method == http.MethodPatch && c.keeps:
					part, _ := io.ReadAll(r.Body)
					f.mu.Lock()
					f.upload = append(f.upload, part...)
					f.mu.Unlock()
					w.WriteHeader(http.StatusAccepted)
					return true
				}
				return false
			})
			b := quick()
			b.small = 10_000
			err := b.blob(t.Context(), from.replica("from"), to.replica("to"), "team/app", sum(blob), alice)
			if !errors.Is(err, c.want) {
				t.Fatal(err)
			}
			to.mu.Lock()
			defer to.mu.Unlock()
			if has := to.has[sum(blob)]; c.want == nil != bytes.Equal(has, blob) || c.want != nil && has != nil {
				t.Errorf("it has %d bytes after %d cuts", len(has), cuts)
			}
			if cuts != 1 {
				t.Errorf("%d cuts", cuts)
			}
		})
	}
}
