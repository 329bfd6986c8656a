package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

const (
	maxListed = 100_000     // repositories of one replica
	listLife  = time.Minute // of what a replica says that it has
)

// errLetIn is for what a replica refuses though it lets the gateway in: it refuses this repository, not all.
var errLetIn = errors.New("it lets us in, so that the others may go well")

// catalog is the list of repositories of a replica, sorted; not complete if the replica gives none.
type catalog struct {
	names    []string
	complete bool
	until    time.Time
}

// judgeHidden decides what becomes of a deletion that is refused with all else of its repository. Some registries
// refuse all of a repository that they do not have: then it is done. Their catalog tells, unless it is empty: some show
// that to a login that has expired.
func (e *Engine) judgeHidden(ctx context.Context, target string, entry ledger.Entry, refused error) error {
	if e.reach(target).LetsIn(ctx) != nil {
		return refused
	}
	if e.mayHave(target, entry) {
		return fmt.Errorf("%w: %w", refused, errLetIn)
	}
	list := e.catalogOf(ctx, target)
	if _, there := slices.BinarySearch(list.names, entry.Repository); there || !list.complete || len(list.names) == 0 {
		return fmt.Errorf("%w: %w", refused, errLetIn)
	}
	return nil
}

// mayHave reports whether the replica has confirmed something live of the same digest. If the ledger cannot be read it
// may.
func (e *Engine) mayHave(target string, entry ledger.Entry) bool {
	alive, err := e.Ledger.Tagged(entry.Repository, entry.Digest, maxRecentWrites)
	if err != nil {
		return true
	}
	manifest, known, err := e.Ledger.Get(ledger.Reference{Repository: entry.Repository, Name: entry.Digest})
	if known && !manifest.Deleted {
		alive = append(alive, manifest)
	}
	there := func(other ledger.Entry) bool { return slices.Contains(other.Confirmed, target) }
	return err != nil || slices.ContainsFunc(alive, there)
}

// catalogOf reads the catalog once in listLife: some registries take long for it, and many deletions may need it.
func (e *Engine) catalogOf(ctx context.Context, target string) catalog {
	e.mu.Lock()
	have := e.catalogs[target]
	e.mu.Unlock()
	if time.Now().Before(have.until) {
		return have
	}
	names, complete, err := e.reach(target).Catalog(ctx, maxListed)
	slices.Sort(names)
	have = catalog{names, complete && err == nil, time.Now().Add(listLife)}
	e.mu.Lock()
	e.catalogs[target] = have
	e.mu.Unlock()
	return have
}
