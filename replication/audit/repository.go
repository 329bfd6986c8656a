package audit

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// answer is what one replica has of a repository.
type answer struct {
	Replica
	holding holding
	ok      bool // it could be found out
	hidden  bool // the replica refuses a repository that its catalog lacks: it counts as empty, but confirms nothing
}

// auditRepository compares one repository on all replicas at once: where they have it in different ways, their order
// decides.
func (r *run) auditRepository(ctx context.Context, repository string) {
	before, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	answers := r.askAll(ctx, repository, before)
	known, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	found := false
	for _, a := range answers {
		if !a.ok {
			continue
		}
		list, _ := compare(known, a.Name, repository, a.holding)
		for _, d := range list {
			if known[d.Name].Stamp == before[d.Name].Stamp { // else it may have been written before we looked, or after
				found = r.handle(d, a.Replica, a.holding) || found
			}
		}
	}
	if r.report.Repair {
		r.confirm(repository, before, answers, found)
	}
}

// askAll takes inventory of a repository on all replicas that can be asked, and reports those that fail.
func (r *run) askAll(ctx context.Context, repository string, known entriesByName) []answer {
	replicas := slices.DeleteFunc(r.present(), func(replica Replica) bool { return replica.LeftOut(repository) })
	answers := make([]answer, len(replicas))
	var group errgroup.Group
	for i, replica := range replicas {
		group.Go(func() error {
			h, err := r.takeInventory(ctx, replica.Name, repository, known, r.report.Deep)
			hidden := r.hidesMissing(replica.Name, repository, err)
			if hidden {
				h, err = holding{}, nil
			}
			answers[i] = answer{replica, h, err == nil, hidden}
			r.noteAsked(ctx, replica.Name, repository, err)
			return nil
		})
	}
	_ = group.Wait() // has no errors
	return answers
}

func (r *run) noteAsked(ctx context.Context, replica, repository string, err error) {
	if err == nil {
		r.mu.Lock()
		delete(r.failed, replica)
		r.mu.Unlock()
		return
	}
	if ctx.Err() != nil {
		return
	}
	r.report.problem(replica, repository, err)
	if !transfer.Passing(err) {
		return
	}
	r.mu.Lock()
	r.failed[replica]++
	enough := r.failed[replica] == maxFailed
	r.mu.Unlock()
	if enough {
		r.giveUp(replica, errFailing)
	}
}

// confirm confirms what replicas have as the ledger says, with what was found just now. Then copying may begin.
func (r *run) confirm(repository string, before entriesByName, answers []answer, found bool) {
	now, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	for _, a := range answers {
		if !a.ok || a.hidden {
			continue
		}
		_, confirmed := compare(now, a.Name, repository, a.holding)
		for _, e := range confirmed {
			if old, known := before[e.Name]; known && e.Stamp != old.Stamp || !known && !ledger.IsFound(e.Stamp) {
				continue // written since we looked
			}
			if err := r.Ledger.Confirm(e, a.holder()); err != nil {
				r.ledgerFailed(repository, err)
				return
			}
		}
	}
	if found {
		r.enqueueAdded(repository, before, now)
	}
}

// enqueueAdded has the entries copied that the ledger did not have before.
func (r *run) enqueueAdded(repository string, before, now entriesByName) {
	var added []ledger.Entry
	for name := range now {
		if _, known := before[name]; known {
			continue
		}
		e, known, err := r.Ledger.Get(ledger.Reference{Repository: repository, Name: name})
		if err == nil && known {
			added = append(added, e)
		}
	}
	r.Gateway.Enqueue(added...)
}
