package replication

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
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
	changed chan struct{} // holds one: something was confirmed

	mu      sync.Mutex
	entries map[ledger.Reference]ledger.Entry // Guarded by mu.
	at      int64                             // Guarded by mu.
	err     error                             // Guarded by mu.
}

func newFakeLedger() *fakeLedger {
	return &fakeLedger{changed: make(chan struct{}, 1), entries: map[ledger.Reference]ledger.Entry{}}
}

// write records what a replica accepted.
func (b *fakeLedger) write(what ledger.Reference, digest, replica string, deleted bool) ledger.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at++
	e := ledger.Entry{Reference: what, Digest: digest, Stamp: hlc.Stamp{WallMS: b.at}, Deleted: deleted,
		Confirmed: []string{replica}}
	if what.IsTag() && !deleted {
		d := e
		d.Name = digest
		b.entries[d.Reference] = d
	}
	b.entries[what] = e
	return e
}

func (b *fakeLedger) push(name, digest, replica string) ledger.Entry {
	return b.write(ledger.Reference{Repository: "app", Name: name}, digest, replica, false)
}

func (b *fakeLedger) remove(name, digest, replica string) ledger.Entry {
	return b.write(ledger.Reference{Repository: "app", Name: name}, digest, replica, true)
}

func (b *fakeLedger) Pending(replica string, after ledger.Cursor, limit int) (
	page []ledger.Entry, next ledger.Cursor, err error,
) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := func(r ledger.Reference) string { return r.Repository + " " + r.Name }
	for _, r := range slices.SortedFunc(maps.Keys(b.entries),
		func(a, b ledger.Reference) int { return cmp.Compare(names(a), names(b)) }) {
		e := b.entries[r]
		if slices.Contains(e.Confirmed, replica) || names(r) <= string(after) {
			continue
		}
		if page = append(page, e); len(page) == limit {
			return page, ledger.Cursor(names(r)), b.err
		}
	}
	return page, "", b.err
}

func (b *fakeLedger) Get(r ledger.Reference) (ledger.Entry, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[r]
	return e, ok, b.err
}

func (b *fakeLedger) Tagged(repository, digest string, limit int) (tags []ledger.Entry, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for what, e := range b.entries {
		if what.IsTag() && what.Repository == repository && e.Digest == digest && !e.Deleted && len(tags) < limit {
			tags = append(tags, e)
		}
	}
	return tags, b.err
}

func (b *fakeLedger) Confirm(e ledger.Entry, replica string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.entries[e.Reference]
	if now.Stamp == e.Stamp && !slices.Contains(now.Confirmed, replica) {
		now.Confirmed = append(slices.Clone(now.Confirmed), replica)
		b.entries[e.Reference] = now
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return b.err
}

// pending is how much is not confirmed by all of the replicas.
func (b *fakeLedger) pending(replicas ...string) (n int) {
	for _, r := range replicas {
		page, _, _ := b.Pending(r, "", 1<<20)
		n += len(page)
	}
	return n
}

// store is one replica: a registry that accepts manifests whose layers are missing.
type store struct {
	*httptest.Server
	t        *testing.T
	registry http.Handler
	fault    atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true: it has answered
	received atomic.Int64                                                      // bytes of bodies

	mu  sync.Mutex
	log []string // Guarded by mu: requests but for GET and HEAD.
}

func newStore(t *testing.T) *store {
	s := &store{t: t, registry: registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithReferrersSupport(true))}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.mu.Lock()
		s.log = append(s.log, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
	}
	r.Body = countedBody{r.Body, &s.received}
	if fault := s.fault.Load(); fault != nil && (*fault)(w, r) {
		return
	}
	s.registry.ServeHTTP(w, r)
}

func (s *store) breaks(fault func(w http.ResponseWriter, r *http.Request) bool) {
	if fault == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&fault)
}

func (s *store) requests(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.log {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// put stores something behind everybody's back.
func (s *store) put(path, mediaType string, content []byte) {
	s.t.Helper()
	method := http.MethodPut
	if strings.Contains(path, "/uploads/") {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(content))
	r.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	s.registry.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		s.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

func (s *store) blob(content []byte) {
	s.t.Helper()
	s.put("/v2/app/blobs/uploads/?digest="+sum(content), "application/octet-stream", content)
}

func (s *store) manifest(reference string, content []byte) {
	s.t.Helper()
	var doc struct{ MediaType string }
	_ = json.Unmarshal(content, &doc)
	s.put("/v2/app/manifests/"+reference, doc.MediaType, content)
}

// image stores one of these layers, complete.
func (s *store) image(reference string, layers ...string) (digest string) {
	s.t.Helper()
	config := "config of " + strings.Join(layers, ",")
	for _, l := range append(layers, config) {
		s.blob([]byte(l))
	}
	content := imageOf(config, layers...)
	s.manifest(cmp.Or(reference, sum(content)), content)
	return sum(content)
}

func (s *store) get(path string) []byte {
	w := httptest.NewRecorder()
	s.registry.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		return nil
	}
	return w.Body.Bytes()
}

// complete reports whether the image and all that it names are there.
func (s *store) complete(reference string) bool {
	body := s.get("/v2/app/manifests/" + reference)
	if body == nil {
		return false
	}
	var doc struct {
		Config    struct{ Digest string }
		Layers    []struct{ Digest string }
		Manifests []struct{ Digest string }
	}
	_ = json.Unmarshal(body, &doc)
	for _, l := range append(doc.Layers, doc.Config) {
		if l.Digest != "" && sum(s.get("/v2/app/blobs/"+l.Digest)) != l.Digest {
			return false
		}
	}
	for _, m := range doc.Manifests {
		if !s.complete(m.Digest) {
			return false
		}
	}
	return true
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

const (
	typeImage = "application/vnd.oci.image.manifest.v1+json"
	typeIndex = "application/vnd.oci.image.index.v1+json"
)

func described(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": sum(content), "size": len(content)}
}

func imageOf(config string, layers ...string) []byte { return referrerOf(nil, config, layers...) }

// referrerOf has a subject, if it is not nil.
func referrerOf(subject []byte, config string, layers ...string) []byte {
	list := []any{}
	for _, l := range layers {
		list = append(list, described("application/vnd.oci.image.layer.v1.tar", []byte(l)))
	}
	doc := map[string]any{"schemaVersion": 2, "mediaType": typeImage,
		"config": described("application/vnd.oci.image.config.v1+json", []byte(config)), "layers": list}
	if subject != nil {
		doc["subject"] = described(typeImage, subject)
	}
	return encoded(doc)
}

func indexOf(children ...[]byte) []byte {
	list := []any{}
	for _, c := range children {
		list = append(list, described(typeImage, c))
	}
	return encoded(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
}

func encoded(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}

// region is a fleet of three stores with an engine.
type region struct {
	*Engine
	*fakeLedger
	t     *testing.T
	at    map[string]*store
	fleet atomic.Pointer[Fleet]

	surveyed func(replica string) bool // nil: all are
}

func newRegion(t *testing.T, change ...func(*Options)) *region {
	x := &region{fakeLedger: newFakeLedger(), t: t, at: map[string]*store{}}
	f := three()
	x.fleet.Store(&f)
	for _, r := range f.Replicas {
		x.at[r.Name] = newStore(t)
	}
	o := Options{
		Gateway: x, Ledger: x.fakeLedger, Settings: Settings{Concurrency: 4}, Metrics: prometheus.NewRegistry(),
		Log:          slog.New(slog.DiscardHandler),
		recheckDelay: time.Second / 4,
	}
	for _, do := range change {
		do(&o)
	}
	x.Engine = New(o)
	return x
}

func (x *region) Fleet() Fleet { return *x.fleet.Load() }

func (x *region) Current() bool { return true }

func (x *region) Surveyed(replica string) bool { return x.surveyed == nil || x.surveyed(replica) }

func (x *region) Reach(name string) transfer.Replica {
	u, _ := url.Parse(x.at[name].URL)
	return transfer.Replica{Name: name, URL: u, Transport: x.at[name].Client().Transport}
}

// run runs the engine until the end of the test.
func (x *region) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { x.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	x.t.Cleanup(stop)
	return stop
}

// settled waits until all is confirmed.
func (x *region) settled(replicas ...string) {
	x.t.Helper()
	x.until(x.changed, func() bool { return x.pending(replicas...) == 0 })
}

// until waits for what is so one day, with a bound for when it is not.
func (x *region) until(changed <-chan struct{}, so func() bool) {
	x.t.Helper()
	bound := time.After(3 * time.Minute)
	for !so() {
		select {
		case <-changed:
		case <-bound:
			x.t.Fatalf("still not, with %v", x.Failures())
		}
	}
}

// eventually is for what nobody tells of.
func (x *region) eventually(so func() bool) {
	x.t.Helper()
	again, done := make(chan struct{}), make(chan struct{})
	defer close(done)
	go func() {
		poll := time.NewTicker(time.Millisecond)
		defer poll.Stop()
		for {
			select {
			case <-poll.C:
			case <-done:
				return
			}
			select {
			case again <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	x.until(again, so)
}

// failed waits for a number of failures.
func (x *region) failed(n int) []Failure {
	x.t.Helper()
	x.eventually(func() bool { return len(x.Failures()) == n })
	return x.Failures()
}
