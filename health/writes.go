package health

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/router"
)

// Writer is a replica whose writes are judged.
type Writer struct {
	Name     string
	Registry string // another value is another registry under the same name: nothing is known of its writes
	Storage  string // those that share it fail together; "": it is the replica's own
}

// Push tells pushes apart.
type Push struct {
	Client     netip.Prefix
	Repository string
}

// Writes keeps which replicas take uploads, judged apart from what else they answer: one whose disk is full still reads
// well. router.Writability decides; this remembers, counts and logs.
type Writes struct {
	// Static after NewWrites.
	log      *slog.Logger
	writable *prometheus.GaugeVec

	failing atomic.Int32 // how many fail: most requests need not look further

	mu sync.Mutex
	of map[string]*writer // Guarded by mu.
}

// writer is what is known of the writes at one replica.
type writer struct {
	Writer
	state  router.Writability
	trial  Push // is let through until state.NextTry; the zero Push: none is
	probed bool // the gateway's own probe tries it: no client has to
}

// NewWrites has all replicas take uploads until answers say otherwise.
func NewWrites(replicas []Writer, reg prometheus.Registerer, log *slog.Logger) *Writes {
	w := &Writes{log: log, of: map[string]*writer{}}
	w.writable = promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "fairlead_replica_writable",
		Help: "Whether a replica takes uploads (1), or fails at them so that new pushes go elsewhere (0).",
	}, []string{"replica"})
	w.Update(replicas)
	return w
}

// Update has these replicas judged from now on. What is known of those that stay is kept.
func (w *Writes) Update(replicas []Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := make(map[string]*writer, len(replicas))
	for _, r := range replicas {
		now := &writer{Writer: r}
		if old := w.of[r.Name]; old != nil && old.Registry == r.Registry {
			old.Writer, now = r, old
		}
		next[r.Name] = now
		w.show(now)
	}
	for name := range w.of {
		if next[name] == nil {
			w.writable.DeleteLabelValues(name)
		}
	}
	w.of = next
	w.count()
}

// Note takes in how a write at a replica ended. It never blocks for long.
func (w *Writes) Note(replica string, got router.Wrote, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.of[replica]
	if known == nil {
		return
	}
	before := known.state
	known.state = before.Step(got, w.sharedFails(known), now)
	if known.trial == (Push{got.Client, got.Repository}) && got.Fails() {
		known.trial = Push{}
	}
	if before.Failing() != known.state.Failing() {
		w.changed(known, before, got, now)
	}
}

func (w *Writes) fails(replica string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.of[replica]
	return r != nil && r.state.Failing()
}

// changed needs mu.
func (w *Writes) changed(r *writer, before router.Writability, got router.Wrote, now time.Time) {
	w.count()
	w.show(r)
	if r.state.Failing() {
		w.log.Warn("a replica's uploads fail: new pushes go elsewhere until it takes one", "replica", r.Name,
			"status", got.Status, "repository", got.Repository)
		return
	}
	r.trial = Push{}
	w.log.Info("a replica takes uploads again", "replica", r.Name, "after", now.Sub(before.Since).Round(time.Second),
		"repository", got.Repository)
}

// count and show need mu.
func (w *Writes) count() {
	failing := int32(0)
	for _, r := range w.of {
		if r.state.Failing() {
			failing++
		}
	}
	w.failing.Store(failing)
}

func (w *Writes) show(r *writer) {
	value := 1.0
	if r.state.Failing() {
		value = 0
	}
	w.writable.WithLabelValues(r.Name).Set(value)
}

// sharedFails reports whether another replica of the same storage fails at writes. It needs mu.
func (w *Writes) sharedFails(r *writer) bool {
	if r.Storage == "" {
		return false
	}
	for _, other := range w.of {
		if other != r && other.Storage == r.Storage && other.state.Failing() {
			return true
		}
	}
	return false
}

// Failing are the replicas where this push should write nothing, sorted by name. due are those of them that Try may give
// it all the same.
func (w *Writes) Failing(client netip.Prefix, repository string, now time.Time) (failing, due []string) {
	if w.failing.Load() == 0 {
		return nil, nil
	}
	push := Push{client, repository}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.of {
		if !r.state.Failing() || r.trial == push && now.Before(r.state.NextTry) {
			continue
		}
		failing = append(failing, name)
		if r.state.Due(now) && !r.probed {
			due = append(due, name)
		}
	}
	slices.Sort(failing)
	return failing, due
}

// Try lets one push through to a replica that is due. It reports false if another one was faster.
func (w *Writes) Try(replica string, client netip.Prefix, repository string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.of[replica]
	if r == nil || !r.state.Due(now) {
		return false
	}
	r.state, r.trial = r.state.Try(now), Push{client, strings.Clone(repository)}
	return true
}

// Probed tells whether the gateway's own probe finds out when a replica takes uploads again, so that no client has to.
func (w *Writes) Probed(replica string, probed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.of[replica]; r != nil {
		r.probed = probed
	}
}

// WriteStatus is what an operator is shown of a replica whose uploads fail.
type WriteStatus struct {
	Since      time.Time
	Status     int    // that decided
	Repository string // in which it did
	NextTry    time.Time
	Probed     bool
}

// Status has the replicas whose uploads fail, by name.
func (w *Writes) Status() map[string]WriteStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]WriteStatus{}
	for name, r := range w.of {
		if s := r.state; s.Failing() {
			all[name] = WriteStatus{s.Since, s.Why.Status, s.Why.Repository, s.NextTry, r.probed}
		}
	}
	return all
}
