package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// record is the ledger as proxy sees it.
type record struct {
	// Static after openRecord, but for the functions: until New has returned.
	ledger *ledger.Ledger
	member string                                // this gateway's name in it
	told   func(context.Context)                 // returns when other gateways know it
	copied func(replica, repository string) bool // what is pushed to others may be on its way there
	doubt  func(ledger.Entry, string)            // the replica may have lost what was pushed again

	elsewhere func(ledger.Write) error // has another gateway record it; nil: there is none
	current   func() bool              // it can be written, and knows what other gateways know
	byOthers  *prometheus.CounterVec   // writes of which that was tried
	accept    bool                     // what cannot be recorded now is accepted all the same
	log       *slog.Logger
}

// openRecord opens the ledger that the file gives a place, or one that ends with this process. Where that cannot be done now
// the gateway goes on without it.
func openRecord(c *configs.Config, reg prometheus.Registerer, log *slog.Logger) (*record, error) {
	member := "gateway"
	if c.Cluster != nil {
		member = c.Cluster.Name
	}
	var names []string
	for _, r := range c.Replicas {
		names = append(names, r.Name)
	}
	l, err := ledger.Open(c.State, member, names, time.Now, log)
	if err != nil {
		return nil, err
	}
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fairlead_state_available", Help: "1 if pushes and deletions could be recorded when it was last tried, 0 if not.",
	}, func() float64 {
		if l.Available() != nil {
			return 0
		}
		return 1
	})
	byOthers := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_state_elsewhere_total",
		Help: "Pushes and deletions that another gateway was asked to record, since it cannot be done here, by how that ended.",
	}, []string{"result"})
	for _, result := range []string{"done", "failed"} {
		byOthers.WithLabelValues(result)
	}
	return &record{
		current: func() bool { return l.Available() == nil }, byOthers: byOthers,
		ledger: l, member: member, told: func(context.Context) {},
		copied: func(string, string) bool { return false }, doubt: func(ledger.Entry, string) {},
		accept: c.Replication.Unrecorded == configs.UnrecordedAccept, log: log,
	}, nil
}

func (r *record) Push(what ledger.Reference, content ledger.Content, replica string, by ledger.Request) error {
	w := ledger.Write{Act: ledger.ActPush, Reference: what, Content: content, Replica: replica, By: by}
	err := r.write(w)
	if errors.Is(err, ledger.ErrInvalid) && content.MediaType+content.Config != "" { // clients may write anything there
		w.Content.MediaType, w.Content.Config = "", ""
		err = r.write(w)
	}
	return r.kept(err)
}

func (r *record) Delete(what ledger.Reference, replica string, by ledger.Request) error {
	return r.kept(r.write(ledger.Write{Act: ledger.ActDelete, Reference: what, Replica: replica, By: by}))
}

func (r *record) Untag(tag ledger.Reference, standIn string, replica string, by ledger.Request) error {
	return r.kept(r.write(ledger.Write{
		Act: ledger.ActUntag, Reference: tag, StandIn: standIn, Replica: replica, By: by,
	}))
}

func (r *record) Told(ctx context.Context) { r.told(ctx) }

// write records a write, here or by another gateway (ADR 022).
func (r *record) write(w ledger.Write) error {
	err := r.here(w, 0)
	if !errors.Is(err, ledger.ErrUnavailable) || r.elsewhere == nil {
		return err
	}
	if elsewhere := r.elsewhere(w); elsewhere != nil {
		r.byOthers.WithLabelValues("failed").Inc()
		return fmt.Errorf("%w; nor does another gateway record it: %w", err, elsewhere)
	}
	r.byOthers.WithLabelValues("done").Inc()
	return nil
}

// here is for writes of our own clients, and of those of a gateway that cannot write its record.
func (r *record) here(w ledger.Write, within time.Duration) error {
	entries, err := r.ledger.Record(w, within)
	if err != nil {
		return err
	}
	if w.Act != ledger.ActPush && r.copied(w.Replica, w.Reference.Repository) {
		// Some registries accept a deletion, and go on giving out what they have cached. And a client may go away before he has
		// deleted a stand-in, which is under the tag until then.
		r.doubt(entries[0], w.Replica)
	}
	return nil
}

// kept: some registries accept what has no valid name. There is nothing to remember of that, and it is theirs to give out.
func (r *record) kept(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrInvalid):
		r.log.Debug("accepted by a replica, and nothing that can be recorded", "error", err)
		return nil
	case r.accept:
		r.log.Error("a push or deletion was accepted that cannot be recorded: it may not be copied", "error", err)
		return nil
	}
	r.log.Error("a push or deletion cannot be recorded", "error", err)
	return reason(err)
}

// reason is what clients are told: the system's own words, without our paths.
func reason(err error) error {
	if refused := syscall.Errno(0); errors.As(err, &refused) {
		return refused
	}
	return ledger.ErrUnavailable
}

func (r *record) Confirm(what ledger.Reference, replica string) {
	e, known, err := r.ledger.Get(what)
	if err == nil && known && e.Deleted { // else it was pushed again meanwhile
		err = r.ledger.Confirm(e, replica)
	}
	if err != nil {
		r.log.Warn("what a replica has cannot be recorded", "replica", replica, "repository", what.Repository, "reference", what.Name, "error", err)
	}
}

// Gone: the gateway that copies to the replica may not have heard of the deletion yet, and undo it. Once it has, it deletes what
// it may have brought meanwhile, and confirms.
func (r *record) Gone(what ledger.Reference, replica string) {
	if !r.current() { // another gateway may have recorded it
		return
	}
	if e, known, err := r.ledger.Get(what); err == nil && known && !e.Deleted {
		r.doubt(e, replica)
		return
	}
	if !r.copied(replica, what.Repository) {
		r.Confirm(what, replica)
	}
}

// Known: what cannot be read is not known. Requests go on without it; that it is not available the ledger says by itself.
func (r *record) Known(what ledger.Reference) (ledger.Entry, bool) {
	e, known, err := r.ledger.Get(what)
	if err != nil {
		r.log.Debug("the record of pushes and deletions cannot be read", "error", err)
		return ledger.Entry{}, false
	}
	return e, known
}

// Stale: alone, this gateway knows all that is recorded.
func (r *record) Stale() bool { return r.elsewhere != nil && !r.current() }

// known is why the record must not be gone by in this gateway's own name: it would bring back what is gone.
func (r *record) known() error {
	if r.current() {
		return nil
	}
	return fmt.Errorf("%w, or does not know yet what other gateways have recorded", ledger.ErrUnavailable)
}

// maxLooked bounds how many entries of a repository one request may have read.
const maxLooked = 10_000

func (r *record) Stranded(repository string, replicas []string) bool {
	for after, looked := "", 0; looked < maxLooked; {
		entries, err := r.ledger.List(repository, after, maxLooked)
		if err != nil || len(entries) == 0 {
			return false
		}
		for _, e := range entries {
			at := func(name string) bool { return slices.Contains(e.Confirmed, name) }
			if !e.Deleted && !slices.ContainsFunc(replicas, at) {
				return true
			}
		}
		after, looked = entries[len(entries)-1].Name, looked+len(entries)
	}
	return false
}
