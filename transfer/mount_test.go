package transfer

import (
	"net/http"
	"testing"
)

func TestMount(t *testing.T) {
	blob := content(10)
	for _, c := range []struct {
		name   string
		status int // of the answer to the mount; 0: an upload is begun
		has    bool
		want   bool
		fails  bool
	}{
		{"mounted", http.StatusCreated, true, true, false},
		{"a promise that is not kept", http.StatusCreated, false, false, false},
		{"an upload instead", 0, false, false, false},
		{"refused", http.StatusForbidden, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(f *fake, w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				if q := r.URL.Query(); q.Get("mount") != sum(blob) || q.Get("from") != "base/image" {
					t.Errorf("asked for %s", r.URL)
				}
				if c.has {
					f.mu.Lock()
					f.has[sum(blob)] = blob
					f.mu.Unlock()
				}
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				return c.status != 0
			})
			got, err := f.repository("a").Mount(t.Context(), sum(blob), "base/image")
			if got != c.want || (err != nil) != c.fails {
				t.Errorf("%v, %v", got, err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.open {
				t.Error("an upload is left open")
			}
		})
	}
}
