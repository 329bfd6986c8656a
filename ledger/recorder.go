package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Others are the gateways that keep their ledgers alike. *Gossip is how they are reached.
type Others interface {
	// Elsewhere has another gateway record a write. Without an error it is durable there.
	Elsewhere(ctx context.Context, w Write) error
	// Told returns when all know what was recorded here until now, within a bound.
	Told(ctx context.Context)
	// Current reports whether the ledger can be written, and knows what the others know.
	Current() bool
}

// Copying is done by whoever brings pushes and deletions to other replicas.
type Copying interface {
	// Copies reports whether what is pushed to others comes to the replica.
	Copies(replica, repository string) bool
	// Verify has a replica asked whether it has what the entry says: it may have lost what was pushed again.
	Verify(e Entry, replica string)
}

// RecorderOptions are what a Recorder works with.
type RecorderOptions struct {
	Ledger     *Ledger
	Others     Others // nil: there are none
	Copying    Copying
	Unrecorded func() bool // a write that cannot be recorded is accepted all the same, now
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Recorder records what replicas have accepted from clients, here or by another gateway (ADR 022), and says what is
// known.
type Recorder struct {
	RecorderOptions
	elsewhere *prometheus.CounterVec // writes of which that was tried
}

// NewRecorder makes a Recorder with its metrics.
func NewRecorder(o RecorderOptions) *Recorder {
	promauto.With(o.Registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_state_available",
		Help: "1 if pushes and deletions could be recorded when it was last tried, 0 if not.",
	}, func() float64 {
		if o.Ledger.Available() != nil {
			return 0
		}
		return 1
	})
	r := &Recorder{o, promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_state_elsewhere_total",
		Help: "Pushes and deletions that another gateway was asked to record, since it cannot be done here, by how that ended.",
	}, []string{"result"})}
	for _, result := range []string{"done", "failed"} {
		r.elsewhere.WithLabelValues(result)
	}
	return r
}

// Push records that a replica accepted content under a name. Without an error the write may be confirmed to its client.
func (r *Recorder) Push(what Reference, content Content, replica string, by Request) error {
	return r.accepted(content.orUntyped(func(c Content) error {
		return r.write(Write{Act: ActPush, Reference: what, Content: c, Replica: replica, By: by})
	}))
}

// Delete records that a replica deleted what a reference names.
func (r *Recorder) Delete(what Reference, replica string, by Request) error {
	return r.accepted(r.write(Write{Act: ActDelete, Reference: what, Replica: replica, By: by}))
}

// Untag records that a replica accepted a stand-in under a tag, which its client is about to delete with the tag.
func (r *Recorder) Untag(tag Reference, standIn, replica string, by Request) error {
	return r.accepted(r.write(Write{Act: ActUntag, Reference: tag, StandIn: standIn, Replica: replica, By: by}))
}

// write records a write here, or has another gateway do it.
func (r *Recorder) write(w Write) error {
	_, err := r.Ledger.Record(w, 0)
	if !errors.Is(err, ErrUnavailable) || r.Others == nil {
		return err
	}
	if elsewhere := r.Others.Elsewhere(context.Background(), w); elsewhere != nil {
		r.elsewhere.WithLabelValues("failed").Inc()
		return fmt.Errorf("%w; nor does another gateway record it: %w", err, elsewhere)
	}
	r.elsewhere.WithLabelValues("done").Inc()
	return nil
}

// accepted is why the client of a write that a replica has accepted must come again. Some registries accept what has no
// valid name: there is nothing to remember of that, and it is theirs to give out.
func (r *Recorder) accepted(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrInvalid):
		r.Log.Debug("a replica accepted what has no valid name: it is not recorded", "error", err)
		return nil
	case r.Unrecorded():
		r.Log.Error("a push or deletion cannot be recorded; it was accepted all the same, and may not be copied: repair state", "error", err)
		return nil
	}
	r.Log.Error("a push or deletion cannot be recorded: its client gets 503; repair state", "error", err)
	return withoutPaths(err)
}

// withoutPaths is what clients are told: the system's own words, without our paths.
func withoutPaths(err error) error {
	if refused := syscall.Errno(0); errors.As(err, &refused) {
		return refused
	}
	return ErrUnavailable
}

// Told returns when all gateways know what was recorded here until now, within a bound.
func (r *Recorder) Told(ctx context.Context) {
	if r.Others != nil {
		r.Others.Told(ctx)
	}
}

// Confirm records that a replica is rid of what was deleted. It changes nothing once that was pushed again.
func (r *Recorder) Confirm(what Reference, replica string) {
	e, known, err := r.Ledger.Get(what)
	if err == nil && known && e.Deleted {
		err = r.Ledger.Confirm(e, replica)
	}
	if err != nil {
		r.Log.Warn("what a replica has cannot be recorded; the audit finds it", "replica", replica, "repository",
			what.Repository,
			"reference", what.Name, "error", err)
	}
}

// Gone takes note of a replica that, asked to delete what was deleted elsewhere, does not have it any more. The gateway
// that copies to it may not have heard of the deletion yet, and undo it. Once it has, it deletes what it may have
// brought meanwhile, and confirms. If it was pushed again meanwhile, the deletion may have taken that along.
func (r *Recorder) Gone(what Reference, replica string) {
	if !current(r.Ledger, r.Others) { // another gateway may have recorded it
		return
	}
	if e, known, err := r.Ledger.Get(what); err == nil && known && !e.Deleted {
		r.Copying.Verify(e, replica)
		return
	}
	if !r.Copying.Copies(replica, what.Repository) {
		r.Confirm(what, replica)
	}
}

// Known is what the ledger says of a reference. What cannot be read is not known: requests go on without it, and that
// the ledger is not available it says by itself.
func (r *Recorder) Known(what Reference) (Entry, bool) {
	e, known, err := r.Ledger.Get(what)
	if err != nil {
		r.Log.Debug("the ledger cannot be read", "error", err)
		return Entry{}, false
	}
	return e, known
}

// Stale reports whether other gateways may have recorded more than Known knows of.
func (r *Recorder) Stale() bool { return r.Others != nil && !r.Others.Current() }

// maxStranded bounds how many entries of a repository Stranded reads.
const maxStranded = 10_000

// Stranded reports whether a repository has a tag or manifest that none of those replicas is known to have.
func (r *Recorder) Stranded(repository string, replicas []string) bool {
	for after, read := "", 0; read < maxStranded; {
		entries, err := r.Ledger.List(repository, after, maxStranded)
		if err != nil || len(entries) == 0 {
			return false
		}
		for _, e := range entries {
			confirmed := func(name string) bool { return slices.Contains(e.Confirmed, name) }
			if !e.Deleted && !slices.ContainsFunc(replicas, confirmed) {
				return true
			}
		}
		after, read = entries[len(entries)-1].Name, read+len(entries)
	}
	return false
}
