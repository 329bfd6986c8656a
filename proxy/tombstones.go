package proxy

import (
	"slices"
	"time"
)

// tombstoneLife bounds how long a deletion that not all have confirmed hides what they have: it may have been pushed to
// them anew, where this gateway did not see it.
const tombstoneLife = 24 * time.Hour

// tombstones remembers what was deleted through this gateway while not every replica has confirmed it: neither a pull that
// falls through nor healing may bring it back. A tombstone goes when all have confirmed, or when the same is pushed anew.
type tombstones struct{ of *shelf[tombstone] }

type tombstone struct {
	unconfirmed []string // never changed in place
	until       time.Time
}

func newTombstones() *tombstones { return &tombstones{newShelf[tombstone]()} }

func (t *tombstones) add(what reference, unconfirmed []string, now time.Time) {
	if len(unconfirmed) > 0 {
		t.of.set(what, tombstone{unconfirmed, now.Add(tombstoneLife)})
	}
}

// trust: replica no longer has it, or was given it anew.
func (t *tombstones) trust(what reference, replica string) {
	t.of.change(what, func(was tombstone, known bool) (tombstone, bool) {
		was.unconfirmed = slices.DeleteFunc(slices.Clone(was.unconfirmed), func(name string) bool { return name == replica })
		return was, known && len(was.unconfirmed) > 0
	})
}

// lift: it was pushed anew.
func (t *tombstones) lift(what reference) { t.of.remove(what) }

// barred are the replicas whose word about it does not count.
func (t *tombstones) barred(what reference, now time.Time) []string {
	stone, ok := t.of.get(what)
	if !ok || now.After(stone.until) {
		return nil
	}
	return stone.unconfirmed
}

// owes reports whether a replica has not confirmed some deletion in a repository.
func (t *tombstones) owes(repository, replica string, now time.Time) bool {
	return t.of.any(repository, func(stone tombstone) bool {
		return !now.After(stone.until) && slices.Contains(stone.unconfirmed, replica)
	})
}
