package audit

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// atOnce is how many repairs are under way at a time.
const atOnce = 4

var errNotWhole = errors.New("it is not recorded: the replica does not have all parts of it")

// difference takes note of one, and does about it what need not wait. found: there is something new in the ledger.
func (r *run) difference(d Difference, on Replica, h Holding) (found bool) {
	r.metrics.differences.WithLabelValues(d.Replica, string(d.Reason)).Inc()
	switch {
	case !r.report.Repair:
	case d.Reason == Unknown:
		_, looked := h.Lacks[d.Has]
		err := errNotWhole
		if looked && len(d.Lacks) == 0 {
			err = r.Ledger.Found(ledger.Reference{Repository: d.Repository, Name: d.Name}, recordable(h.Has[d.Name]), d.Replica)
			found = err == nil
		}
		d.end(Recorded, err)
	case r.background && (d.Pending || !on.Mine):
		d.Outcome = Pending
		if lacks, looked := h.Lacks[d.Has]; d.Reason == Stale && looked && len(lacks) == 0 {
			// Replication is about to replace the tag: what it named is kept.
			found = r.Ledger.Found(ledger.Reference{Repository: d.Repository, Name: d.Has}, recordable(h.Has[d.Name]), d.Replica) == nil
		}
	default:
		place := r.report.add(d)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.suspects = append(r.suspects, suspect{d, place})
		return false
	}
	r.report.add(d)
	return found
}

func (d *Difference) end(well Outcome, err error) {
	d.Outcome = well
	if err != nil {
		d.Outcome, d.Problem = Failed, err.Error()
	}
}

// settle looks for the second time at what differs, after word of what was under way has come, and repairs what still does.
func (r *run) settle(ctx context.Context) {
	r.mu.Lock()
	suspects := r.suspects
	r.suspects = nil
	r.mu.Unlock()
	if len(suspects) == 0 {
		return
	}
	timer := time.NewTimer(r.grace)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, s := range suspects {
		group.Go(func() error {
			outcome, err := r.mend(ctx, s.Difference)
			s.end(outcome, err)
			if err != nil {
				r.Log.Warn("what differs cannot be repaired", "replica", s.Replica, "repository", s.Repository, "name", s.Name, "reason", s.Reason, "error", err)
			}
			r.metrics.repairs.WithLabelValues(s.Replica, string(s.Reason), string(s.Outcome)).Inc()
			r.report.ended(s.place, s.Difference)
			return nil
		})
	}
	_ = group.Wait() // has no errors
}

// mend decides again by what the ledger and the replica say now.
func (r *run) mend(ctx context.Context, d Difference) (Outcome, error) {
	what := ledger.Reference{Repository: d.Repository, Name: d.Name}
	var c transfer.Content
	var there bool
	err := r.again(ctx, func() (err error) {
		c, there, err = transfer.Look(ctx, r.reach(d.Replica), d.Repository, d.Name, nil)
		return err
	})
	if err != nil && !r.hides(d.Replica, d.Repository, err) {
		return "", err
	}
	e, known, err := r.Ledger.Get(what)
	if err != nil {
		return "", err
	}
	content, contentKnown, err := r.Ledger.Get(ledger.Reference{Repository: d.Repository, Name: c.Digest})
	if err != nil {
		return "", err
	}
	e.Name = d.Name
	reason := judge(e, known, c, there, contentKnown, content.Deleted, d.Replica)
	if d.Reason == Incomplete && reason == "" && there && known && !e.Deleted {
		reason = Incomplete
	}
	if reason == Around && d.Reason == notAround(e) {
		reason = d.Reason
	}
	switch {
	case reason != d.Reason:
		return Settled, nil
	case reason == Around:
		done, err := r.Ledger.PushOver(e, recordable(c), d.Replica)
		if err == nil && !done {
			return Settled, nil
		}
		return Recorded, err
	case reason == Undeleted && !known: // makes a tombstone of it, which can be repaired
		if err := r.Ledger.Found(what, recordable(c), d.Replica); err != nil {
			return "", err
		}
		if e, _, err = r.Ledger.Get(what); err != nil {
			return "", err
		}
	}
	return Repaired, r.Repair(ctx, e, d.Replica)
}

// recordable is what a replica has, as the ledger records it.
func recordable(c transfer.Content) ledger.Content {
	return ledger.Content{Digest: c.Digest, MediaType: c.MediaType, Size: c.Size}
}
