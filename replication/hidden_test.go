package replication

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// TestHiddenDeletions: a replica that refuses all of a repository that it does not have is rid of what was deleted
// there. Where nobody can tell, that is a failure of this repository, which holds no other back; unless nobody is let
// in.
func TestHiddenDeletions(t *testing.T) {
	const many = 3 * breakAfter
	for _, c := range []struct {
		name         string
		status, v2   int
		catalog      string // "": there is none
		live         bool   // the replica is said to have what the tags named
		gone, paused bool
	}{
		{"403, and not listed", 403, 200, `["other"]`, false, true, false},
		{"401, and not listed", 401, 200, `["other"]`, false, true, false},
		{"not listed, and yet it had it", 403, 200, `["other"]`, true, false, false},
		{"listed", 403, 200, `["app","other"]`, false, false, false},
		{"nothing is listed", 403, 200, `[]`, false, false, false},
		{"no list", 403, 200, "", false, false, false},
		{"another failure", 500, 200, `["other"]`, false, false, false},
		{"nobody is let in", 401, 401, `["other"]`, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newRegion(t)
			only := three(func(f *Fleet) { f.Assigned = []string{"b"} })
			x.fleet.Store(&only)
			x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.URL.Path == "/v2/" && c.v2 == http.StatusOK:
					return false
				case r.URL.Path == "/v2/":
					w.WriteHeader(c.v2)
				case r.URL.Path == "/v2/_catalog" && c.catalog != "":
					fmt.Fprintf(w, `{"repositories":%s}`, c.catalog)
				default:
					w.WriteHeader(c.status)
				}
				return true
			})
			if c.live {
				x.write(ledger.Reference{Repository: "app", Name: sum(nil)}, sum(nil), "b", false)
			}
			for n := range many {
				_ = x.Confirm(x.remove(fmt.Sprint("v", n), sum(nil), "a"), "c")
			}
			x.run()
			if c.gone {
				x.settled("b")
				return
			}
			want := many
			if c.paused {
				want = breakAfter
			}
			x.eventually(func() bool { return len(x.Failures()) >= want })
			x.Engine.mu.Lock()
			paused := x.worker("b").breaker.failures >= breakAfter
			x.Engine.mu.Unlock()
			if paused != c.paused || x.pending("b") < many {
				t.Errorf("paused: %v, %d pending", paused, x.pending("b"))
			}
			for _, f := range x.Failures() {
				if !strings.Contains(f.Reason, fmt.Sprint("DELETE: ", c.status)) {
					t.Error(f.Reason)
				}
			}
		})
	}
}

// TestListedOnce: one list serves many deletions.
func TestListedOnce(t *testing.T) {
	x := newRegion(t)
	var asked atomic.Int64
	x.at["b"].breaks(func(w http.ResponseWriter, _ *http.Request) bool {
		asked.Add(1)
		fmt.Fprint(w, `{"repositories":["b","a"]}`)
		return true
	})
	for range 3 {
		if got := x.catalogOf(t.Context(), "b"); !got.complete || fmt.Sprint(got.names) != "[a b]" ||
			asked.Load() != 1 {
			t.Errorf("%+v, asked %d times", got, asked.Load())
		}
	}
}
