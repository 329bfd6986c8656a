package proxy

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// looksLast is how long what was found of a blob at a replica counts.
	looksLast = 24 * time.Hour
	// maxLooks is how many answers may be hashed at once, which bounds what is held back of them.
	maxLooks = 64
)

// blobAt is a blob at a replica.
type blobAt struct{ digest, replica string }

// Damaged is a blob that a replica gave out as something else than its digest says.
type Damaged struct {
	Replica    string
	Repository string // that it was asked for in; its registry may have one copy for all
	Digest     string
	Found      time.Time
}

// looks remembers which blobs were compared with their digest, each at each replica, and what came of it.
type looks struct {
	// Static.
	seed   maphash.Seed
	budget *hashBudget

	mu       sync.Mutex
	good     *simplelru.LRU[uint64, time.Time]          // when it was found, by the hash of a blobAt. Guarded by mu.
	damaged  *simplelru.LRU[string, map[string]Damaged] // by digest and replica. Guarded by mu.
	underWay map[blobAt]struct{}                        // Guarded by mu. At most maxLooks.
}

// newLooks has room for so many good blobs and an eighth of it damaged ones, and hashes by share of one core.
func newLooks(share float64, most int, now time.Time) *looks {
	return &looks{
		seed: maphash.MakeSeed(), budget: newHashBudget(share, now), good: newLRU[uint64, time.Time](most),
		damaged: newLRU[string, map[string]Damaged](most / 8), underWay: map[blobAt]struct{}{},
	}
}

// begin reports whether an answer of so many bytes is to be hashed now, and what was taken of the budget: once in a
// while for each blob and replica, if the budget has as much. What was found damaged is looked at whenever it is given
// out again, so that who has mended it can have that seen at once, and nobody gets it because the budget is short.
func (l *looks) begin(of blobAt, bytes int64, now time.Time) (taken time.Duration, ok bool) {
	if !l.budget.isOn() {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, busy := l.underWay[of]; busy || len(l.underWay) == maxLooks {
		return 0, false
	}
	_, marked := l.mark(of)
	if found, known := l.good.Get(l.key(of)); known && now.Sub(found) < looksLast && !marked {
		return 0, false
	}
	if taken, ok = l.budget.take(bytes, marked, now); ok {
		l.underWay[of] = struct{}{}
	}
	return taken, ok
}

// end is for a look that was begun, whatever came of it.
func (l *looks) end(of blobAt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.underWay, of)
}

// foundGood reports whether it had been found damaged before.
func (l *looks) foundGood(of blobAt, now time.Time) (mended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.good.Add(l.key(of), now)
	if _, mended = l.mark(of); mended {
		at, _ := l.damaged.Get(of.digest)
		if delete(at, of.replica); len(at) == 0 {
			l.damaged.Remove(of.digest)
		}
	}
	return mended
}

// foundDamaged reports whether that is new, or was found longer ago than it counts.
func (l *looks) foundDamaged(of blobAt, repository string, now time.Time) (isNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, marked := l.mark(of)
	at, _ := l.damaged.Get(of.digest)
	if at == nil {
		at = map[string]Damaged{}
		l.damaged.Add(of.digest, at)
	}
	at[of.replica] = Damaged{of.replica, repository, of.digest, now}
	return !marked || now.Sub(before.Found) >= looksLast
}

// damagedAt are the replicas that lately gave out something else under a digest.
func (l *looks) damagedAt(digest string, now time.Time) (replicas []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, _ := l.damaged.Get(digest)
	for replica, d := range at {
		if now.Sub(d.Found) < looksLast {
			replicas = append(replicas, replica)
		}
	}
	slices.Sort(replicas)
	return replicas
}

// forget forgets what was found at replicas. What was found good is known by its hash alone: all of it is.
func (l *looks) forget(lost map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.good.Purge()
	for _, digest := range l.damaged.Keys() {
		if at, ok := l.damaged.Peek(digest); ok {
			if forgetKeys(at, lost); len(at) == 0 {
				l.damaged.Remove(digest)
			}
		}
	}
}

// list is all that was found damaged and not yet found good, by replica and digest.
func (l *looks) list() []Damaged {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := []Damaged{}
	for _, at := range l.damaged.Values() {
		for _, d := range at {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Damaged) int {
		return cmp.Or(cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.Digest, b.Digest))
	})
	return all
}

// mark is for who holds mu.
func (l *looks) mark(of blobAt) (d Damaged, ok bool) {
	at, _ := l.damaged.Get(of.digest)
	d, ok = at[of.replica]
	return d, ok
}

func (l *looks) key(of blobAt) uint64 { return maphash.Comparable(l.seed, of) }
