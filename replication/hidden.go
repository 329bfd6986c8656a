package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

const (
	maxListed = 100_000     // repositories of one replica
	listLife  = time.Minute // of what a replica says that it has
)

// errLetIn is for what a replica refuses that lets us in: it does so for this repository, not for all.
var errLetIn = errors.New("it lets us in, so that the others may go well")

// listing is what a replica said of its repositories, by name; not whole where it does not say.
type listing struct {
	names    []string
	complete bool
	until    time.Time
}

// hidden is what becomes of a deletion that is refused with all else of its repository: some registries do so of one
// that they do not have. Their list of all tells, unless it is empty: that is what some show to a login that has
// ended.
func (e *Engine) judgeHidden(ctx context.Context, target string, entry ledger.Entry, refused error) error {
	if transfer.LetsIn(ctx, e.reach(target), nil) != nil {
		return refused
	}
	if e.mayHave(target, entry) {
		return fmt.Errorf("%w: %w", refused, errLetIn)
	}
	list := e.listed(ctx, target)
	if _, there := slices.BinarySearch(list.names, entry.Repository); there || !list.complete || len(list.names) == 0 {
		return fmt.Errorf("%w: %w", refused, errLetIn)
	}
	return nil
}

// mayHave: something live that was pushed or copied with what was deleted is said to be there. In doubt it is.
func (e *Engine) mayHave(target string, entry ledger.Entry) bool {
	near, err := e.Ledger.Tagged(entry.Repository, entry.Digest, maxRecentWrites)
	if err != nil {
		return true
	}
	whole, known, err := e.Ledger.Get(ledger.Reference{Repository: entry.Repository, Name: entry.Digest})
	if known && !whole.Deleted {
		near = append(near, whole)
	}
	there := func(other ledger.Entry) bool { return slices.Contains(other.Confirmed, target) }
	return err != nil || slices.ContainsFunc(near, there)
}

// listed asks once in a while: many deletions may be of one repository, and some registries take long to list them all.
func (e *Engine) listed(ctx context.Context, target string) listing {
	e.mu.Lock()
	have := e.listings[target]
	e.mu.Unlock()
	if time.Now().Before(have.until) {
		return have
	}
	names, whole, err := transfer.Catalog(ctx, e.reach(target), maxListed, nil)
	slices.Sort(names)
	have = listing{names, whole && err == nil, time.Now().Add(listLife)}
	e.mu.Lock()
	e.listings[target] = have
	e.mu.Unlock()
	return have
}
