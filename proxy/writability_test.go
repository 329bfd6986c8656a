package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// judge is a Writability that has the time told.
type judge struct {
	mu    sync.Mutex
	now   time.Time // of all that it is asked
	of    map[string]router.Writability
	trial string // the repository that tries
	heard []router.Wrote
}

func (j *judge) Failing(_ netip.Prefix, repository string, _ time.Time) (failing, due []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, w := range j.of {
		if w.Failing() && j.trial != repository {
			failing = append(failing, name)
			if w.Due(j.now) {
				due = append(due, name)
			}
		}
	}
	return failing, due
}

func (j *judge) Try(replica string, _ netip.Prefix, repository string, _ time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.of[replica], j.trial = j.of[replica].Try(j.now), repository
	return true
}

func (j *judge) Note(replica string, got router.Wrote, _ time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if got.Fails() && j.trial == got.Repository {
		j.trial = ""
	}
	j.heard = append(j.heard, got)
	j.of[replica] = j.of[replica].Step(got, false, j.now)
}

func (j *judge) pass(d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now = j.now.Add(d)
}

// fullRegistry answers code to these methods while it is full.
type fullRegistry struct {
	code    int
	methods []string
	full    atomic.Bool
}

func (f *fullRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch {
	case f.full.Load() && slices.Contains(f.methods, r.Method):
		w.WriteHeader(f.code)
	case r.Method == http.MethodHead:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		_, _ = io.WriteString(w, content)
	default:
		accepts(w, r)
	}
}

func judgedRig(t *testing.T, code int, methods ...string) (*rig, *judge, *fullRegistry) {
	t.Helper()
	west := &fullRegistry{code: code, methods: methods}
	west.full.Store(true)
	j := &judge{now: time.Now(), of: map[string]router.Writability{}}
	g := newRig(t, map[string]http.HandlerFunc{"west": west.ServeHTTP, "east": accepts, "europe": accepts},
		func(c *rigConfig) { c.Writability = j })
	return g, j, west
}

// askedWest counts the writes that west has got since the last take.
func askedWest(seen []string) (n int) {
	for _, s := range seen {
		if strings.HasPrefix(s, "west P") {
			n++
		}
	}
	return n
}

// TestReplicaThatFailsAllWrites: new pushes of all go elsewhere, each within its first request, pulls stay, and it takes
// pushes again by itself.
func TestReplicaThatFailsAllWrites(t *testing.T) {
	t.Parallel()
	g, j, west := judgedRig(t, 500, http.MethodPost)
	post := func(repository string) string { return "POST /v2/" + repository + "/blobs/uploads/" }
	g.want(g.do(post("one"), nil), 202, "east; reason=failover")
	g.want(g.do(post("two"), nil), 202, "east; reason=failover")
	if n := askedWest(g.take()); n != 2 {
		t.Errorf("%d pushes tried it until it was known", n)
	}
	g.want(g.do(post("three"), nil), 202, "east; reason=failover")
	g.want(g.do("HEAD /v2/four/blobs/"+digest, nil), 202, "east; reason=failover")
	g.want(g.do(post("four"), nil), 202, "east; reason=bound")
	if n := askedWest(g.take()); n != 0 {
		t.Errorf("%d pushes tried it, and it was known", n)
	}
	g.want(g.do("GET "+byDigest, nil), 200, "west; reason=nearest")

	j.pass(15 * time.Second)
	g.want(g.do("HEAD /v2/five/blobs/"+digest, nil), 202, "east; reason=failover")
	g.want(g.do(post("five"), nil), 202, "east; reason=failover")
	g.want(g.do(post("six"), nil), 202, "east; reason=failover")
	if n := askedWest(g.take()); n != 1 {
		t.Errorf("%d pushes tried it, want one", n)
	}
	west.full.Store(false)
	g.want(g.do(post("seven"), nil), 202, "east; reason=failover")
	j.pass(30 * time.Second)
	g.want(g.do("HEAD /v2/eight/blobs/"+digest, nil), 202, "east; reason=failover")
	g.want(g.do(post("eight"), nil), 202, "west; reason=nearest")
	g.want(g.do(post("nine"), nil), 202, "west; reason=nearest")
	g.want(g.do(post("one"), nil), 202, "east; reason=leased")
}

// TestOneRepositoryThatFails takes no replica away from the others.
func TestOneRepositoryThatFails(t *testing.T) {
	t.Parallel()
	g, _, _ := judgedRig(t, 500, http.MethodPut)
	for range 5 {
		g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}"))
	}
	g.want(g.do("POST /v2/web/blobs/uploads/", nil), 202, "west; reason=nearest")
}

// TestPushThatFillsTheDisk: what is sent to a replica that has no room goes elsewhere in the same request, as far as it
// is at hand, and its lease with it.
func TestPushThatFillsTheDisk(t *testing.T) {
	t.Parallel()
	t.Run("a part", func(t *testing.T) {
		g, j, _ := judgedRig(t, 507, http.MethodPatch, http.MethodPut)
		begun := g.do("POST "+uploads, nil)
		g.want(begun, 202, "west; reason=nearest")
		g.want(g.do("PATCH "+begun.header.Get("Location"), strings.NewReader("content")), 202, "east; reason=failover")
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=leased")
		if want := (router.Wrote{Repository: "app", Client: j.heard[1].Client, Status: 507, Stores: true}); j.heard[1] != want ||
			!want.Client.IsValid() {
			t.Errorf("told %+v", j.heard[1])
		}
	})
	t.Run("a part that is not at hand", func(t *testing.T) {
		g, _, _ := judgedRig(t, 507, http.MethodPatch)
		begun := g.do("POST "+uploads, nil)
		got := g.do("PATCH "+begun.header.Get("Location"), strings.NewReader(strings.Repeat("x", maxKept+1)))
		if got.status != 507 {
			t.Errorf("%v", got)
		}
		g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
	})
	t.Run("a manifest", func(t *testing.T) {
		g, _, _ := judgedRig(t, 507, http.MethodPut)
		g.want(g.do("POST "+uploads, nil), 202, "west; reason=nearest")
		g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "east; reason=failover")
	})
	t.Run("all are full", func(t *testing.T) {
		g, j, _ := judgedRig(t, 507, http.MethodPatch)
		begun := g.do("POST "+uploads, nil)
		for _, name := range []string{"east", "europe"} {
			j.Note(name, router.Wrote{Status: 507}, time.Now())
		}
		if got := g.do("PATCH "+begun.header.Get("Location"), strings.NewReader("x")); got.status != 507 {
			t.Errorf("%v", got)
		}
	})
}

// TestWritesOfANamedReplica count, and stay where their client wants them.
func TestWritesOfANamedReplica(t *testing.T) {
	t.Parallel()
	g, j, _ := judgedRig(t, 507, http.MethodPost, http.MethodPut)
	for range 2 {
		got := g.do("POST "+uploads, nil, "Host: west.registry.contoso.com")
		g.want(got, 507, "west; reason=named")
	}
	if failing, _ := j.Failing(netip.Prefix{}, "web", time.Now()); len(failing) != 1 {
		t.Errorf("failing: %v", failing)
	}
}
