package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

const (
	runBound   = 24 * time.Hour
	maxSuspect = 1000 // differences that wait for a second look
	maxFailed  = 20   // repositories in a row, until a replica is given up
)

var (
	errGone         = errors.New("it cannot be asked any more")
	errNoCatalog    = errors.New("it lists no repositories: only those in the ledger were looked at")
	errRepositories = errors.New("more repositories than are looked at")
	errFailing      = errors.New("given up: nothing it was asked went well")
)

// run is one audit of some replicas.
type run struct {
	// Static.
	*Audit
	report       *report
	background   bool               // what is pending is left to replication
	saveProgress func(after string) // how far it has come
	stop         func(error)        // ends it: what it has not seen must not count as seen

	mu       sync.Mutex
	failed   map[string]int      // Guarded by mu; by replica, repositories in a row.
	givenUp  map[string]bool     // Guarded by mu: replicas that were given up.
	listed   map[string]*catalog // Guarded by mu; by replica, where it lists all of its repositories.
	suspects []suspect           // Guarded by mu.
}

type suspect struct {
	Difference
	place int // in the report
}

// all looks at all repositories after one of them, and returns the replicas that it could look at to the end.
func (r *run) auditAll(ctx context.Context, after string) (whole []string) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	ctx, cancel := context.WithTimeout(ctx, runBound)
	defer cancel()
	names, err := r.repositories(ctx)
	if err != nil {
		r.report.problem("", "", err)
		return nil
	}
	start, found := slices.BinarySearch(names, after)
	if found {
		start++
	}
	r.report.progress(func(f *findings) { f.Repositories, f.Done = len(names), start })
	for at := start; at < len(names) && ctx.Err() == nil; at += together {
		batch := names[at:min(at+together, len(names))]
		var group errgroup.Group
		for _, repository := range batch {
			group.Go(func() error { r.auditRepository(ctx, repository); return nil })
		}
		_ = group.Wait() // has no errors
		r.report.progress(func(f *findings) { f.Done = at + len(batch) })
		if n := r.waiting(); n > maxSuspect {
			r.secondLook(ctx)
		} else if n > 0 {
			continue
		}
		if ctx.Err() == nil {
			r.saveProgress(batch[len(batch)-1])
		}
	}
	r.secondLook(ctx)
	if ctx.Err() != nil {
		r.report.problem("", "", context.Cause(ctx))
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.report.Replicas), r.isGivenUp)
}

func (r *run) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.suspects)
}

func (r *run) isGivenUp(replica string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.givenUp[replica]
}

// repositories are those that any of the replicas lists, and those in the ledger.
func (r *run) repositories(ctx context.Context) (all []string, err error) {
	for after := ""; ; {
		page, err := r.Ledger.Repositories(after, 1000)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 || len(all) > maxRepositories {
			break
		}
		all = append(all, page...)
		after = page[len(page)-1]
	}
	for _, present := range r.present() {
		replica := present.Name
		var names []string
		err := r.retry(ctx, func() error {
			list, whole, err := transfer.Catalog(ctx, r.reach(replica), maxRepositories, nil)
			if err == nil && !whole {
				r.report.problem(replica, "", errRepositories)
			}
			if err == nil && whole {
				r.setCatalog(replica, list)
			}
			names = list
			return err
		})
		switch {
		case err != nil && transfer.Passing(err):
			r.giveUp(replica, err)
		case err != nil:
			r.report.noteProblem(replica, fmt.Errorf("%w: %w", errNoCatalog, err))
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (r *run) giveUp(replica string, err error) {
	r.report.problem(replica, "", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.givenUp[replica] = true
}

// present are the replicas that can still be asked.
func (r *run) present() (list []Replica) {
	fleet := r.Fleet()
	for _, name := range r.report.Replicas {
		if r.isGivenUp(name) {
			continue
		}
		i := slices.IndexFunc(fleet, func(have Replica) bool { return have.Name == name })
		if i < 0 || !fleet[i].Up {
			r.giveUp(name, errGone)
			continue
		}
		list = append(list, fleet[i])
	}
	return list
}

// known is what the ledger has of a repository.
func (a *Audit) ledgerEntries(repository string) (entriesByName, error) {
	known := entriesByName{}
	for after := ""; ; {
		page, err := a.Ledger.List(repository, after, 1000)
		if err != nil || len(page) == 0 {
			return known, err
		}
		if len(known) > 4*maxTags {
			return nil, errTooMany
		}
		for _, e := range page {
			known[e.Name] = e
		}
		after = page[len(page)-1].Name
	}
}

// unreadable: a repository with too much in it is a problem of its own. Else the ledger cannot be read.
func (r *run) ledgerFailed(repository string, err error) {
	r.report.problem("", repository, err)
	if !errors.Is(err, errTooMany) {
		r.stop(err)
	}
}

// repository compares one on all replicas at once: what they have in different ways is then decided in their order.
func (r *run) auditRepository(ctx context.Context, repository string) {
	before, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	replicas := slices.DeleteFunc(r.present(), func(replica Replica) bool { return replica.LeftOut(repository) })
	holdings, hidden := make([]*holding, len(replicas)), make([]bool, len(replicas))
	var group errgroup.Group
	for i, replica := range replicas {
		group.Go(func() error {
			h, err := r.takeInventory(ctx, replica.Name, repository, before, r.report.Deep)
			if hidden[i] = r.hidesMissing(replica.Name, repository, err); hidden[i] {
				h, err = holding{}, nil
			}
			if err == nil {
				holdings[i] = &h
			}
			r.noteAsked(ctx, replica.Name, repository, err)
			return nil
		})
	}
	_ = group.Wait() // has no errors
	known, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	// What was written meanwhile may have been looked at before or after.
	moved := func(name string) bool { return known[name].Stamp != before[name].Stamp }
	found := false
	for i, replica := range replicas {
		if holdings[i] == nil {
			continue
		}
		list, _ := compare(known, replica.Name, repository, *holdings[i])
		for _, d := range list {
			if !moved(d.Name) {
				found = r.handle(d, replica, *holdings[i]) || found
			}
		}
		if hidden[i] {
			holdings[i] = nil // what was deleted there nobody has seen to be gone
		}
	}
	if r.report.Repair {
		r.confirm(repository, before, replicas, holdings, found)
	}
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

// confirm has the ledger know of all who have what it says, with what was found just now. Then copying may begin.
func (r *run) confirm(repository string, before entriesByName, replicas []Replica, holdings []*holding, found bool) {
	now, err := r.ledgerEntries(repository)
	if err != nil {
		r.ledgerFailed(repository, err)
		return
	}
	for i, replica := range replicas {
		if holdings[i] == nil {
			continue
		}
		_, confirmed := compare(now, replica.Name, repository, *holdings[i])
		for _, e := range confirmed {
			if old, known := before[e.Name]; known && e.Stamp != old.Stamp || !known && !ledger.IsFound(e.Stamp) {
				continue // written since we looked
			}
			if err := r.Ledger.Confirm(e, replica.Name); err != nil {
				r.ledgerFailed(repository, err)
				return
			}
		}
	}
	if !found {
		return
	}
	var news []ledger.Entry
	for name := range now {
		if _, known := before[name]; known {
			continue
		}
		e, known, err := r.Ledger.Get(ledger.Reference{Repository: repository, Name: name})
		if err == nil && known {
			news = append(news, e)
		}
	}
	r.Recorded(news)
}
