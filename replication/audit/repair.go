package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// maxRepairs is how many repairs run at a time.
const maxRepairs = 4

var errIncomplete = errors.New("it is not recorded: the replica does not have all of it")

// handle reports a difference. It records what is unknown at once, leaves pending ones to replication, and keeps all
// others for the second look. found: something new was recorded.
func (r *run) handle(d Difference, on Replica, h holding) (found bool) {
	r.count(r.metrics.differences, d.Replica, string(d.Reason))
	switch {
	case !r.report.Repair:
	case d.Reason == Unknown:
		_, looked := h.lacks[d.Has]
		err := errIncomplete
		if looked && len(d.Lacks) == 0 {
			err = r.Ledger.Found(ledger.Reference{Repository: d.Repository, Name: d.Name}, recordable(h.has[d.Name]),
				d.Replica)
			found = err == nil
		}
		d.end(Recorded, err)
	case r.background && (d.Pending || !on.Served):
		d.Outcome = Pending
		if lacks, looked := h.lacks[d.Has]; d.Reason == Stale && looked && len(lacks) == 0 {
			// Replication is about to move the tag: the digest that it names is kept.
			found = r.Ledger.Found(ledger.Reference{Repository: d.Repository, Name: d.Has}, recordable(h.has[d.Name]),
				d.Replica) == nil
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

// secondLook looks again at what differs, when word of writes under way has come, and repairs what still does.
func (r *run) secondLook(ctx context.Context) {
	r.mu.Lock()
	suspects := r.suspects
	r.suspects = nil
	r.mu.Unlock()
	if len(suspects) == 0 {
		return
	}
	timer := time.NewTimer(r.secondLookDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	var group errgroup.Group
	group.SetLimit(maxRepairs)
	for _, s := range suspects {
		group.Go(func() error {
			outcome, err := r.repairDifference(ctx, s.Difference)
			s.end(outcome, err)
			if err != nil {
				r.Log.Warn("a replica differs from the ledger and cannot be repaired; the next audit tries again",
					"replica", s.Replica, "repository", s.Repository, "name", s.Name, "reason", s.Reason, "error", err)
			}
			r.count(r.metrics.repairs, s.Replica, string(s.Reason), string(s.Outcome))
			r.report.ended(s.place, s.Difference)
			return nil
		})
	}
	_ = group.Wait() // has no errors
}

// repairDifference decides again by what the ledger and the replica say now.
func (r *run) repairDifference(ctx context.Context, d Difference) (Outcome, error) {
	s, err := r.lookAgain(ctx, d)
	if err != nil {
		return "", err
	}
	reason := s.reason(d.Reason == OutOfBand)
	if d.Reason == Incomplete && s.seen() == asRecorded {
		reason = Incomplete
	}
	what := ledger.Reference{Repository: d.Repository, Name: d.Name}
	switch {
	case reason != d.Reason:
		return Settled, nil
	case reason == OutOfBand:
		done, err := r.Ledger.PushOver(s.entry, recordable(s.content), d.Replica)
		if err == nil && !done {
			return Settled, nil
		}
		return Recorded, err
	case reason == Undeleted && !s.recorded: // makes a tombstone of it, which can be repaired
		if err := r.Ledger.Found(what, recordable(s.content), d.Replica); err != nil {
			return "", err
		}
		if s.entry, _, err = r.Ledger.Get(what); err != nil {
			return "", err
		}
	}
	return Repaired, r.Gateway.Repair(ctx, s.entry, d.Replica)
}

// lookAgain is what the ledger and the replica have now of what differed.
func (r *run) lookAgain(ctx context.Context, d Difference) (sighting, error) {
	s := sighting{name: d.Name}
	err := r.retry(ctx, func() (err error) {
		s.content, s.there, err = r.reach(d.Replica).Repository(d.Repository).Look(ctx, d.Name)
		return err
	})
	if err != nil && !r.hidesMissing(d.Replica, d.Repository, err) {
		return s, err
	}
	s.entry, s.recorded, err = r.Ledger.Get(ledger.Reference{Repository: d.Repository, Name: d.Name})
	if err != nil {
		return s, err
	}
	s.confirmed = slices.Contains(s.entry.Confirmed, d.Replica)
	s.digest, s.known, err = r.Ledger.Get(ledger.Reference{Repository: d.Repository, Name: s.content.Digest})
	return s, err
}

// recordable is what a replica has, as the ledger records it.
func recordable(c transfer.Content) ledger.Content {
	return ledger.Content{Digest: c.Digest, MediaType: c.MediaType, Size: c.Size}
}
