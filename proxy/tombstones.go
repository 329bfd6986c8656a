package proxy

import (
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// tombstones remembers what was deleted through this gateway while not every replica has confirmed it: neither a pull that
// falls through nor healing may bring it back. A tombstone goes when all have confirmed, or when the same is pushed anew.
type tombstones struct {
	mu sync.Mutex
	of *simplelru.LRU[reference, []string] // those that have not confirmed; never changed in place. Guarded by mu.
}

func newTombstones() *tombstones {
	return &tombstones{of: newLRU[reference, []string](maxRecent)}
}

func (t *tombstones) add(what reference, unconfirmed []string) {
	if len(unconfirmed) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of.Add(what, unconfirmed)
}

// confirm: replica no longer has it.
func (t *tombstones) confirm(what reference, replica string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left, ok := t.of.Get(what)
	if !ok {
		return
	}
	left = slices.DeleteFunc(slices.Clone(left), func(name string) bool { return name == replica })
	if len(left) == 0 {
		t.of.Remove(what)
		return
	}
	t.of.Add(what, left)
}

// lift: it was pushed anew.
func (t *tombstones) lift(what reference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of.Remove(what)
}

// barred are the replicas whose word about it does not count.
func (t *tombstones) barred(what reference) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names, _ := t.of.Get(what)
	return names
}
