package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	background   bool               // pending differences are left to replication
	saveProgress func(after string) // up to which repository it is done
	stop         func(error)        // ends the audit: what it has not seen must not count as seen

	mu       sync.Mutex
	holders  map[string]string   // Guarded by mu; by replica, as it was first seen.
	failed   map[string]int      // Guarded by mu; by replica, repositories in a row.
	givenUp  map[string]bool     // Guarded by mu: replicas that were given up.
	listed   map[string]*catalog // Guarded by mu; by replica, where it lists all of its repositories.
	suspects []suspect           // Guarded by mu.
}

type suspect struct {
	Difference
	place int // in the report
}

// auditAll audits all repositories after one of them, and returns the replicas that it could ask to the end.
func (r *run) auditAll(ctx context.Context, after string) (complete []string) {
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
	for at := start; at < len(names) && ctx.Err() == nil; at += batchSize {
		batch := names[at:min(at+batchSize, len(names))]
		r.auditBatch(ctx, batch)
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

func (r *run) auditBatch(ctx context.Context, batch []string) {
	var group errgroup.Group
	for _, repository := range batch {
		group.Go(func() error { r.auditRepository(ctx, repository); return nil })
	}
	_ = group.Wait() // has no errors
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

// repositories are those in the ledger, and those that any of the replicas lists.
func (r *run) repositories(ctx context.Context) (all []string, err error) {
	if all, err = r.recordedRepositories(); err != nil {
		return nil, err
	}
	for _, present := range r.present() {
		replica := present.Name
		var names []string
		err := r.retry(ctx, func() error {
			list, complete, err := r.reach(replica).Catalog(ctx, maxRepositories)
			if err == nil && !complete {
				r.report.problem(replica, "", errRepositories)
			}
			if err == nil && complete {
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

func (r *run) recordedRepositories() (all []string, err error) {
	for after := ""; ; {
		page, err := r.Ledger.Repositories(after, 1000)
		if err != nil || len(page) == 0 || len(all) > maxRepositories {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1]
	}
}

func (r *run) giveUp(replica string, err error) {
	r.report.problem(replica, "", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.givenUp[replica] = true
}

// present are the replicas that can still be asked.
func (r *run) present() (list []Replica) {
	fleet := r.Gateway.Replicas()
	for _, name := range r.report.Replicas {
		if r.isGivenUp(name) {
			continue
		}
		i := slices.IndexFunc(fleet, func(have Replica) bool { return have.Name == name })
		if i < 0 || !fleet[i].Up || r.isAnother(fleet[i]) {
			r.giveUp(name, errGone)
			continue
		}
		list = append(list, fleet[i])
	}
	return list
}

// isAnother reports whether the replica is another registry than when it was first seen: what the one had says nothing
// of the other.
func (r *run) isAnother(now Replica) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holders[now.Name] == "" {
		r.holders[now.Name] = now.holder()
	}
	return r.holders[now.Name] != now.holder()
}

// ledgerEntries is what the ledger has of a repository.
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

// ledgerFailed ends the audit if the ledger cannot be read. A repository with too many entries is only a problem in the
// report.
func (r *run) ledgerFailed(repository string, err error) {
	r.report.problem("", repository, err)
	if !errors.Is(err, errTooMany) {
		r.stop(err)
	}
}
