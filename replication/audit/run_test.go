package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// fakeLedger is a ledger in memory.
type fakeLedger struct {
	mu      sync.Mutex
	entries map[ledger.Reference]ledger.Entry // Guarded by mu.
	at      int64                             // Guarded by mu.
	err     error                             // Guarded by mu.
}

func (n *fakeLedger) Repositories(after string, _ int) (names []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for what := range n.entries {
		if what.Repository > after {
			names = append(names, what.Repository)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), n.err
}

func (n *fakeLedger) List(repository, after string, _ int) (list []ledger.Entry, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for what, e := range n.entries {
		if what.Repository == repository && what.Name > after && !what.Blob {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b ledger.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, n.err
}

func (n *fakeLedger) Get(what ledger.Reference) (ledger.Entry, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, known := n.entries[what]
	return e, known, n.err
}

func (n *fakeLedger) Found(what ledger.Reference, c ledger.Content, replica string) error {
	for _, name := range []string{c.Digest, what.Name} {
		n.mu.Lock()
		r := ledger.Reference{Repository: what.Repository, Name: name}
		if _, known := n.entries[r]; !known {
			deleted := n.entries[ledger.Reference{Repository: what.Repository, Name: c.Digest}].Deleted
			e := ledger.Entry{Reference: r, Digest: c.Digest, Stamp: hlc.Stamp{Member: c.Digest}, Deleted: deleted}
			if !deleted {
				e.Confirmed = []string{replica}
			}
			n.entries[r] = e
		}
		n.mu.Unlock()
	}
	return nil
}

func (n *fakeLedger) breaks(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func (n *fakeLedger) PushOver(old ledger.Entry, c ledger.Content, replica string) (bool, error) {
	if now, _, _ := n.Get(old.Reference); now.Stamp != old.Stamp {
		return false, nil
	}
	n.push(old.Repository, old.Name, c.Digest, replica)
	return true, nil
}

func (n *fakeLedger) Confirm(e ledger.Entry, replica string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.entries[e.Reference]; now.Stamp == e.Stamp {
		now.Confirmed = append(slices.Clone(now.Confirmed), replica)
		n.entries[e.Reference] = now
	}
	return nil
}

func (n *fakeLedger) push(repository, name, digest string, replicas ...string) {
	n.write(repository, name, digest, false, replicas)
}

func (n *fakeLedger) write(repository, name, digest string, deleted bool, replicas []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at++
	for _, to := range []string{digest, name} {
		if deleted && to != name {
			continue
		}
		r := ledger.Reference{Repository: repository, Name: to}
		n.entries[r] = ledger.Entry{Reference: r, Digest: digest, Stamp: hlc.Stamp{WallMS: n.at}, Deleted: deleted,
			Confirmed: replicas}
	}
}

func (n *fakeLedger) confirmed(repository, name string) []string {
	e, _, _ := n.Get(ledger.Reference{Repository: repository, Name: name})
	return e.Confirmed
}

// store is a replica that checks nothing.
type store struct {
	http.Handler
	fault atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true: it has answered
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fault := s.fault.Load(); fault != nil && (*fault)(w, r) {
		return
	}
	s.Handler.ServeHTTP(w, r)
}

func (s *store) breaks(fault func(w http.ResponseWriter, r *http.Request) bool) {
	s.fault.Store(&fault)
}

func (s *store) send(method, path, mediaType string, content []byte) {
	r := httptest.NewRequest(method, path, bytes.NewReader(content))
	r.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		panic(fmt.Sprint(method, path, w.Code, w.Body))
	}
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

const typeImage = "application/vnd.oci.image.manifest.v1+json"

func described(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": sum(content), "size": len(content)}
}

// put stores an image whose only layer, and config, is text; "-" leaves one of them out.
func (s *store) put(repository, tag, text string, parts ...string) (digest string) {
	config := "config of " + text
	for _, part := range []string{text, config} {
		if !slices.Contains(parts, "-"+part) {
			s.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+sum([]byte(part)), "", []byte(part))
		}
	}
	body, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": typeImage,
		"config": described("application/vnd.oci.image.config.v1+json", []byte(config)),
		"layers": []any{described("application/vnd.oci.image.layer.v1.tar", []byte(text))},
	})
	s.send(http.MethodPut, "/v2/"+repository+"/manifests/"+sum(body), typeImage, body)
	if tag != "" {
		s.send(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, typeImage, body)
	}
	return sum(body)
}

// world is an audit of the replicas a and b.
type world struct {
	*Audit
	*fakeLedger
	t        *testing.T
	at       map[string]*store
	servers  map[string]*httptest.Server
	up       atomic.Pointer[[]string]
	repaired chan string
}

func (x *world) Replicas() (list []Replica) {
	for _, name := range []string{"a", "b"} {
		list = append(list, Replica{
			Name: name, Up: slices.Contains(*x.up.Load(), name), Served: true, Survey: true,
			LeftOut: func(repository string) bool { return repository == "out" },
		})
	}
	return list
}

func (x *world) Reach(name string) transfer.Replica {
	u, _ := url.Parse(x.servers[name].URL)
	return transfer.Replica{URL: u, Transport: x.servers[name].Client().Transport}
}

func (x *world) Repair(_ context.Context, e ledger.Entry, replica string) error {
	x.repaired <- replica + " " + e.Name
	return nil
}

func (x *world) Enqueue(...ledger.Entry) {}

func newWorld(t *testing.T, state string) *world {
	x := &world{
		fakeLedger: &fakeLedger{entries: map[ledger.Reference]ledger.Entry{}},
		t:          t, at: map[string]*store{}, servers: map[string]*httptest.Server{},
		repaired: make(chan string, 100),
	}
	for _, name := range []string{"a", "b"} {
		x.at[name] = &store{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)),
			registry.WithReferrersSupport(true))}
		x.servers[name] = httptest.NewServer(x.at[name])
		t.Cleanup(x.servers[name].Close)
	}
	x.up.Store(&[]string{"a", "b"})
	x.Audit = New(Options{
		Gateway: x, Ledger: x.fakeLedger, Checkpoint: OpenCheckpoint(state, slog.New(slog.DiscardHandler)),
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		secondLookDelay: 1, retryDelay: 1,
	})
	return x
}

func (x *world) work(q Request, background bool) (Snapshot, []string) {
	q.Replicas = []string{"a", "b"}
	report := &report{Request: q}
	complete := x.perform(x.t.Context(), report, background, "", func(string) {})
	return report.snapshot(), complete
}

func (s Snapshot) lines() (lines []string) {
	for _, d := range s.Differences {
		lines = append(lines, fmt.Sprintf("%s %s %s:%s %s", d.Reason, d.Replica, d.Repository, d.Name, d.Outcome))
	}
	slices.Sort(lines)
	return lines
}

func (x *world) want(s Snapshot, want ...string) {
	x.t.Helper()
	if got := s.lines(); !slices.Equal(got, want) {
		x.t.Errorf("got %q, want %q; %v", got, want, s.Problems)
	}
}

// TestFindsWhatIsThere: with nothing recorded, what one replica has is recorded, and confirmed of the others that have
// it completely.
func TestFindsWhatIsThere(t *testing.T) {
	x := newWorld(t, "")
	a, b := x.at["a"], x.at["b"]
	both := a.put("app", "both", "both")
	b.put("app", "both", "both")
	incomplete := a.put("app", "incomplete", "incomplete")
	b.put("app", "incomplete", "incomplete", "-incomplete")
	nowhere := a.put("app", "nowhere", "nowhere", "-nowhere")
	ofA := a.put("app", "differs", "of a")
	ofB := b.put("app", "differs", "of b")
	b.put("out", "v1", "left out")
	s, complete := x.work(Request{Repair: true}, true)
	x.want(s, "unknown a app:both recorded", "unknown a app:differs recorded", "unknown a app:incomplete recorded",
		"unknown a app:nowhere failed",
		"unknown b app:both recorded", "unknown b app:differs recorded", "unknown b app:incomplete failed")
	if len(complete) != 2 || s.Unsure != 0 || s.Done != 2 {
		t.Errorf("%v, %+v", complete, s)
	}
	for name, want := range map[string][]string{"both": {"a", "b"}, both: {"a", "b"}, "incomplete": {"a"},
		incomplete: {"a"}, "differs": {"a"}, ofA: {"a"}, ofB: {"b"}, nowhere: nil} {
		if got := x.confirmed("app", name); !slices.Equal(got, want) {
			t.Errorf("%s is confirmed of %v, not %v", name, got, want)
		}
	}
	s, _ = x.work(Request{}, false)
	x.want(s, "incomplete b app:"+incomplete+" ", "missing a app:"+ofB+" ", "stale b app:differs ",
		"unknown a app:nowhere ")
	if len(x.repaired) != 0 {
		t.Errorf("repaired %v", <-x.repaired)
	}
}

// TestDamaged: what came of a request that broke off is repaired, and not taken for a push; and it hides nothing else.
func TestDamaged(t *testing.T) {
	x := newWorld(t, "")
	half := []byte(`{"schemaVersion":`)
	for _, name := range []string{"digest", "tag", "other"} {
		digest := x.at["a"].put("app", name, name)
		x.push("app", name, digest, "a", "b")
		switch name {
		case "digest":
			x.at["b"].put("app", name, name)
			x.at["b"].send(http.MethodPut, "/v2/app/manifests/"+digest, typeImage, half)
		case "tag":
			x.at["b"].put("app", "", name)
			x.at["b"].send(http.MethodPut, "/v2/app/manifests/tag", typeImage, half)
		}
	}
	s, _ := x.work(Request{Repair: true, Deep: true}, false)
	digest := x.entries[ledger.Reference{Repository: "app", Name: "digest"}].Digest
	x.want(s, "incomplete b app:"+digest+" repaired", "missing b app:other repaired", "stale b app:tag repaired")
	if s.Unsure != 0 {
		t.Errorf("%+v", s.Problems)
	}
}

// TestSecondLook: what has been settled since the first one is left alone.
func TestSecondLook(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason Reason
		// what happens to v1, which both have, after the first look at b
		since    func(x *world, b *store, digest string)
		outcome  Outcome
		repaired string
	}{
		{"still missing", Missing, func(_ *world, b *store, _ string) {
			b.send(http.MethodDelete, "/v2/app/manifests/v1", "", nil)
		}, Repaired, "b v1"},
		{"it has come", Missing, func(*world, *store, string) {}, Settled, ""},
		{"missing, and deleted", Missing, func(x *world, b *store, digest string) {
			b.send(http.MethodDelete, "/v2/app/manifests/v1", "", nil)
			x.write("app", "v1", digest, true, []string{"a", "b"})
		}, Settled, ""},
		{"still stale", Stale, func(x *world, b *store, _ string) {
			x.push("app", "v0", b.put("app", "v1", "older"), "a", "b")
		}, Repaired, "b v1"},
		{"word of the push has come", Stale, func(x *world, b *store, _ string) {
			x.push("app", "v1", b.put("app", "v1", "newer"), "b")
		}, Settled, ""},
		{"still there", Undeleted, func(x *world, _ *store, digest string) {
			x.write("app", "v1", digest, true, []string{"a", "b"})
		}, Repaired, "b v1"},
		{"pushed anew", Undeleted, func(*world, *store, string) {}, Settled, ""},
		{"pushed out of band", OutOfBand, func(_ *world, b *store, _ string) { b.put("app", "v1", "theirs") }, Recorded,
			""},
		{"pushed out of band, and deleted", OutOfBand, func(x *world, b *store, _ string) {
			digest := b.put("app", "v1", "theirs")
			x.write("app", digest, digest, true, []string{"a"})
		}, Settled, ""},
		{"not out of band after all", OutOfBand, func(x *world, b *store, _ string) {
			x.push("app", "v1", b.put("app", "v1", "theirs"), "b")
		}, Settled, ""},
		{"a missing blob", Incomplete, func(*world, *store, string) {}, Repaired, "b v1"},
		{"a missing blob of what is no more", Incomplete, func(x *world, b *store, digest string) {
			b.send(http.MethodDelete, "/v2/app/manifests/v1", "", nil)
			x.write("app", "v1", digest, true, []string{"a", "b"})
		}, Settled, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, "")
			digest := x.at["a"].put("app", "v1", "ours")
			x.at["b"].put("app", "v1", "ours")
			x.push("app", "v1", digest, "a", "b")
			c.since(x, x.at["b"], digest)
			r := &run{Audit: x.Audit, report: &report{}}
			outcome, err := r.repairDifference(t.Context(),
				Difference{Replica: "b", Repository: "app", Name: "v1", Reason: c.reason})
			repaired := ""
			if len(x.repaired) > 0 {
				repaired = <-x.repaired
			}
			if outcome != c.outcome || err != nil || repaired != c.repaired {
				t.Errorf("%s, repaired %q, %v", outcome, repaired, err)
			}
		})
	}
}

// TestTagOfWhatWasDeleted: it is unknown, and is made known as deleted to be repaired.
func TestTagOfWhatWasDeleted(t *testing.T) {
	x := newWorld(t, "")
	digest := x.at["b"].put("app", "v1", "deleted")
	x.write("app", digest, digest, true, []string{"a", "b"})
	s, _ := x.work(Request{Repair: true}, false)
	x.want(s, "undeleted b app:"+digest+" repaired", "undeleted b app:v1 repaired")
	if e, known, _ := x.Get(ledger.Reference{Repository: "app", Name: "v1"}); !known || !e.Deleted {
		t.Errorf("%v %v", e, known)
	}
}

// TestMeanwhile: what is written between the look at a replica and the comparison counts as neither.
func TestMeanwhile(t *testing.T) {
	x := newWorld(t, "")
	digest := x.at["a"].put("app", "v1", "ours")
	x.push("app", "v1", digest, "a")
	x.write("app", "v2", digest, true, []string{"a"})
	x.write("app", "v3", digest, true, []string{"a"})
	var once sync.Once
	x.at["b"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			once.Do(func() {
				x.push("app", "v1", digest, "a", "b")             // b is pushed to right after it was looked at
				x.write("app", "v3", digest, true, []string{"a"}) // and so is this one, and deleted on a
			})
		}
		return false
	})
	s, _ := x.work(Request{Repair: true}, false)
	x.want(s)
	for name, want := range map[string][]string{"v1": {"a", "b"}, "v2": {"a", "b"}, "v3": {"a"}} {
		if got := x.confirmed("app", name); len(x.repaired) != 0 || !slices.Equal(got, want) {
			t.Errorf("repaired %d; %s is confirmed of %v, not %v", len(x.repaired), name, got, want)
		}
	}
}

// TestWhatCannotBeAsked: no catalog leaves the ledger's repositories; who fails, or goes away, has not been looked at.
func TestWhatCannotBeAsked(t *testing.T) {
	x := newWorld(t, "")
	x.at["b"].put("known", "v1", "text")
	x.at["b"].put("stray", "v1", "text")
	x.push("known", "v0", x.at["b"].put("known", "v0", "other"), "b")
	refuse := func(prefix string, status int) {
		x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
			refused := strings.HasPrefix(r.URL.Path, prefix)
			if refused {
				w.WriteHeader(status)
			}
			return refused
		})
	}
	refuse("/v2/_catalog", http.StatusUnauthorized)
	s, complete := x.work(Request{}, false)
	x.want(s, "missing a known:v0 ", "unknown b known:v1 ")
	if s.Unsure != 0 || len(s.Problems) != 1 || len(complete) != 2 {
		t.Errorf("%+v, %v", s.Problems, complete)
	}
	refuse("/v2/known/", http.StatusForbidden)
	if s, complete = x.work(Request{}, false); s.Unsure != 1 || len(complete) != 2 ||
		s.Problems[0].Repository != "known" {
		t.Errorf("%+v, %v", s.Problems, complete)
	}
	refuse("/v2/_catalog", http.StatusServiceUnavailable)
	if s, complete = x.work(Request{}, false); s.Unsure != 1 || !slices.Equal(complete, []string{"a"}) {
		t.Errorf("%+v, %v", s.Problems, complete)
	}
	for n := range maxFailed + batchSize {
		x.push(fmt.Sprintf("failing/%02d", n), "v1", sum(nil), "a")
	}
	refuse("/v2/failing/", http.StatusInternalServerError)
	if s, complete = x.work(Request{}, false); s.Unsure <= maxFailed || !slices.Equal(complete, []string{"a"}) {
		t.Errorf("%d problems, %v", s.Unsure, complete)
	}
	x.up.Store(&[]string{"a"})
	if s, complete = x.work(Request{}, false); s.Unsure != 1 || !slices.Equal(complete, []string{"a"}) {
		t.Errorf("%+v, %v", s.Problems, complete)
	}
	x.err = errors.New("the disk is full")
	if s, complete = x.work(Request{}, false); s.Unsure != 1 || len(complete) != 0 {
		t.Errorf("%+v, %v", s.Problems, complete)
	}
}

// TestGoesOn: an audit that was cut off goes on behind the last repository that it had done, and then all has been
// surveyed.
func TestGoesOn(t *testing.T) {
	t.Run("after a stop", func(t *testing.T) { goesOn(t, func(_ *world, stop func()) { stop() }) })
	t.Run("after the ledger could not be read", func(t *testing.T) {
		goesOn(t, func(x *world, _ func()) { x.breaks(errors.New("disk full")) })
	})
}

func goesOn(t *testing.T, interrupt func(x *world, stop func())) {
	state := t.TempDir()
	x := newWorld(t, state)
	const count = 3 * batchSize
	for n := range count {
		x.at["a"].put(fmt.Sprintf("app-%02d", n), "v1", fmt.Sprint(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	x.at["a"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, fmt.Sprintf("/v2/app-%02d/", 2*batchSize)) {
			interrupt(x, cancel)
		}
		return false
	})
	x.background(ctx, []string{"a", "b"}, map[string]lastAudit{})
	if x.Checkpoint.Surveyed("a") || x.Checkpoint.Surveyed("b") {
		t.Error("surveyed though it did not end")
	}
	x.breaks(nil)

	again := newWorld(t, state)
	again.at = x.at
	asked := map[string]bool{}
	var mu sync.Mutex
	x.at["a"].breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			mu.Lock()
			defer mu.Unlock()
			asked[r.URL.Path] = true
		}
		return false
	})
	again.Gateway, again.Ledger = x, x.Ledger
	history := map[string]lastAudit{}
	again.background(t.Context(), []string{"a", "b"}, history)
	if len(asked) != batchSize {
		t.Errorf("%d repositories were looked at: %v", len(asked), asked)
	}
	if !again.Checkpoint.Surveyed("a") || !again.Checkpoint.Surveyed("b") || history["a"].retrySoon ||
		history["a"].began.IsZero() {
		t.Errorf("%v %+v", again.Checkpoint.read(), history)
	}
	if !newWorld(t, state).Checkpoint.Surveyed("a") {
		t.Error("it is not remembered")
	}
	for n := range count {
		if name := fmt.Sprintf("app-%02d", n); !slices.Equal(x.confirmed(name, "v1"), []string{"a"}) {
			t.Errorf("%s is not known", name)
		}
	}
}

func TestAsk(t *testing.T) {
	x := newWorld(t, "")
	if s := x.Latest(); s.ID != 0 {
		t.Errorf("%+v", s)
	}
	for _, names := range [][]string{{"nobody"}, {"a", "nobody"}} {
		if _, err := x.Ask(Request{Replicas: names}); !errors.Is(err, ErrReplica) {
			t.Errorf("%v: %v", names, err)
		}
	}
	first, err := x.Ask(Request{Replicas: []string{"b"}})
	if err != nil || !slices.Equal(first.Replicas, []string{"b"}) || !first.Ended.IsZero() {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := x.Ask(Request{}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { x.Run(ctx); close(done) }()
	// Else the next Ask says that it is busy.
	for began := time.Now(); x.Latest().Ended.IsZero() && time.Since(began) < time.Minute; {
		time.Sleep(time.Millisecond)
	}
	if second, err := x.Ask(Request{}); err != nil || second.ID == first.ID || len(second.Replicas) != 2 {
		t.Errorf("%+v, %v", second, err)
	}
	cancel()
	<-done
}

func TestReportIsBounded(t *testing.T) {
	r := &report{}
	last := 0
	for range maxDifferences + 1 {
		last = r.add(Difference{Reason: Missing})
	}
	r.ended(last, Difference{Outcome: Repaired})
	r.ended(0, Difference{Outcome: Repaired})
	for range maxProblems + 1 {
		r.problem("a", "", errIncomplete)
	}
	r.noteProblem("a", errNoCatalog)
	if s := r.snapshot(); s.Total != maxDifferences+1 || s.Remaining != maxDifferences-1 ||
		len(s.Differences) != maxDifferences || len(s.Problems) != maxProblems || s.Unsure != maxProblems+1 {
		t.Errorf("%d %d %d %d %d", s.Total, s.Remaining, len(s.Differences), len(s.Problems), s.Unsure)
	}
}

// TestWhatIsNamedByNoTag: children of an index, and what refers to any of it, are found by way of what names them.
func TestWhatIsNamedByNoTag(t *testing.T) {
	x := newWorld(t, "")
	a := x.at["a"]
	child := a.put("app", "", "child")
	incomplete := a.put("app", "", "incomplete", "-incomplete")
	manifests := []any{}
	for _, digest := range []string{child, incomplete, "sha256:" + strings.Repeat("0", 64)} {
		manifests = append(manifests, map[string]any{"mediaType": typeImage, "digest": digest, "size": 1})
	}
	const typeIndex = "application/vnd.oci.image.index.v1+json"
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": manifests})
	a.breaks(func(w http.ResponseWriter, r *http.Request) bool { // it takes no sparse one
		switch {
		case strings.HasSuffix(r.URL.Path, "/manifests/v1"), strings.HasSuffix(r.URL.Path, "/manifests/"+sum(index)):
			w.Header().Set("Content-Type", typeIndex)
			w.Header().Set("Docker-Content-Digest", sum(index))
			_, _ = w.Write(index)
			return true
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			_, _ = io.WriteString(w, `{"tags":["v1"]}`)
			return true
		}
		return false
	})
	subject := map[string]any{"mediaType": typeImage, "digest": child, "size": 1}
	config := described("application/vnd.oci.empty.v1+json", []byte("config of child"))
	signature, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeImage, "config": config,
		"layers": []any{}, "subject": subject})
	a.send(http.MethodPut, "/v2/app/manifests/"+sum(signature), typeImage, signature)
	s, _ := x.work(Request{Repair: true}, true)
	want := []string{
		"unknown a app:v1 recorded", "unknown a app:" + child + " recorded", "unknown a app:" + incomplete + " failed",
		"unknown a app:" + sum(signature) + " recorded",
	}
	slices.Sort(want)
	x.want(s, want...)
}

// TestHiddenRepository: a replica that says 401 or 403 of a repository that its catalog does not have lacks it. Where
// there is no catalog nobody can tell, nor where it hides more than it lists; and that something was deleted there is
// not confirmed by a refusal.
func TestHiddenRepository(t *testing.T) {
	for _, c := range []struct {
		name    string
		catalog string   // of b; "": none
		lost    []string // what b is said to have, and refuses as all else
		problem string   // one of several; "": there is none
	}{
		{"listed is another one", `["other"]`, []string{"app"}, ""},
		{"as many are lost as are there", `["one","two"]`, []string{"app", "too"}, ""},
		{"there is no catalog", "", []string{"app"}, "it lists no repositories"},
		{"to a login that has ended", `[]`, []string{"app"}, "it lists 0 repositories"},
		{"to one that may see some", `["one"]`, []string{"app", "too"}, "it lists 1 repositories"},
		{"not said to have them", `["other"]`, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newWorld(t, "")
			for _, name := range []string{"app", "too"} {
				replicas := []string{"a"}
				if slices.Contains(c.lost, name) {
					replicas = []string{"a", "b"}
				}
				x.push(name, "v1", x.at["a"].put(name, "v1", "layer"), replicas...)
			}
			x.write("app", "old", sum([]byte("old")), true, []string{"a"})
			x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
				other := !strings.HasPrefix(r.URL.Path, "/v2/app/") && !strings.HasPrefix(r.URL.Path, "/v2/too/")
				switch {
				case r.URL.Path == "/v2/_catalog" && c.catalog != "":
					fmt.Fprintf(w, `{"repositories":%s}`, c.catalog)
				case r.URL.Path != "/v2/_catalog" && other:
					w.WriteHeader(http.StatusNotFound)
				default:
					w.WriteHeader(http.StatusForbidden)
				}
				return true
			})
			s, _ := x.work(Request{Repair: true}, false)
			if c.problem != "" {
				x.want(s)
			} else {
				x.want(s, "missing b app:v1 repaired", "missing b too:v1 repaired")
			}
			if (s.Unsure == 0) != (c.problem == "") || !strings.Contains(fmt.Sprint(s.Problems), c.problem) {
				t.Errorf("%+v", s.Problems)
			}
			if got := x.confirmed("app", "old"); !slices.Equal(got, []string{"a"}) {
				t.Errorf("the deletion is confirmed of %v", got)
			}
		})
	}
}

// TestNoReferrersAPI: what stands before a registry may refuse a path that it does not know.
func TestNoReferrersAPI(t *testing.T) {
	x := newWorld(t, "")
	x.push("app", "v1", x.at["a"].put("app", "v1", "layer"), "a", "b")
	x.at["b"].breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	s, _ := x.work(Request{}, false)
	if x.want(s, "missing b app:v1 "); s.Unsure != 0 {
		t.Errorf("%+v", s.Problems)
	}
}
