package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxRepositories bounds the table: some 25 MB when full. The oldest untouched goes first.
const maxRepositories = 65_536

// table is our copy of what all members know about leases.
type table struct {
	quiet atomic.Int64 // a time.Duration: how long until a lease ends

	// Guarded by mu.
	mu     sync.Mutex
	clock  hlc.Clock
	grants *simplelru.LRU[string, Grants]
}

func newTable(member string, idle time.Duration) *table {
	grants, err := simplelru.NewLRU[string, Grants](maxRepositories, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	t := &table{clock: hlc.Clock{Member: member}, grants: grants}
	t.setIdle(idle)
	return t
}

// life is how long a grant lives after the last write that was announced. Not every write is, and an announcement may
// be lost: half as long again is room for both, so that a lease never ends before idle has been quiet.
func (t *table) life() time.Duration { return t.idle() + t.idle()/2 }

func (t *table) idle() time.Duration { return time.Duration(t.quiet.Load()) }

func (t *table) setIdle(idle time.Duration) { t.quiet.Store(int64(idle)) }

// owner is the grant that holds.
func (t *table) owner(repository string, now time.Time) (Grant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.grants.Peek(repository)
	return set.Owner(now, t.life())
}

// keep prolongs the grant that holds, if one does. Only a prolonged one needs to be announced: Last moves in steps
// of a quarter of idle, so that all members' copies stay alike with few messages.
func (t *table) keep(repository string, now time.Time) (g Grant, known, prolonged bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.grants.Get(repository)
	g, known = set.Owner(now, t.life())
	if !known || now.Sub(g.Last) < t.idle()/4 {
		return g, known, false
	}
	g.Last = now
	t.grants.Add(repository, set.Merge(Grants{g}))
	return g, true, true
}

// grant gives the repository to owner, unless a grant holds: then that one is returned.
func (t *table) grant(repository, owner string, alone bool, now time.Time) (g Grant, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.grants.Get(repository)
	if g, ok := set.Owner(now, t.life()); ok {
		return g, false
	}
	g = Grant{Repository: repository, Owner: owner, Stamp: t.clock.Now(now), Alone: alone, Last: now}
	t.grants.Add(repository, set.collect(now, t.life()).Merge(Grants{g}))
	return g, true
}

// revoke ends what was granted to owner, and returns it as far as it was alive.
func (t *table) revoke(repository, owner string, now time.Time) Grants {
	t.mu.Lock()
	defer t.mu.Unlock()
	set, _ := t.grants.Peek(repository)
	var revoked Grants
	for _, g := range set {
		if g.Owner == owner && g.live(now, t.life()) {
			g.Revoked, g.Last = true, now
			revoked = append(revoked, g)
		}
	}
	if len(revoked) > 0 {
		t.grants.Add(repository, set.Merge(revoked))
	}
	return revoked
}

// mergeOutcome is what came of hearing a grant.
type mergeOutcome struct {
	refused  bool // its stamp is not to be believed
	conflict bool // another is live beside it, and that was not known before
	better   bool // it was told as live, and lost to the grant in winner, or has ended as winner says
	winner   Grant
}

// merge takes note of another member's grant.
func (t *table) merge(g Grant, now time.Time) mergeOutcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(g.Last) >= 2*t.life() {
		return mergeOutcome{}
	}
	if t.clock.Observe(g.Stamp, now) != nil {
		return mergeOutcome{refused: true}
	}
	set, _ := t.grants.Get(g.Repository)
	wasLive := g.live(now, t.life())
	merged := set.collect(now, t.life()).Merge(Grants{set.adjustLast(g, t.idle()/8)})
	t.grants.Add(g.Repository, merged)
	before, after := set.countLive(now, t.life()), merged.countLive(now, t.life())
	winner, ok := merged.Owner(now, t.life())
	if !ok {
		winner, ok = merged.ended(g.Stamp)
	}
	return mergeOutcome{
		conflict: after > 1 && after > before,
		better:   ok && wasLive && (winner.Stamp != g.Stamp || winner.Revoked),
		winner:   winner,
	}
}

// snapshot is what is known of each repository, the least recently used first. What is known is never changed, only
// replaced, so that all that takes time is done with a snapshot and not under the lock, where a writer would wait.
func (t *table) snapshot() []Grants {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.grants.Values()
}

// all returns every grant that is worth telling. The least recently used come first.
func (t *table) all(now time.Time) []Grant {
	sets := t.snapshot()
	out := make([]Grant, 0, len(sets))
	for _, set := range sets {
		for _, g := range set {
			if g.needed(now, t.life()) {
				out = append(out, g)
			}
		}
	}
	return out
}

// digest sums up the table, and drops what nobody needs any more.
func (t *table) digest(now time.Time) (d digest) {
	for _, set := range t.snapshot() {
		needed := false
		for _, g := range set {
			d.add(g, now, t.life())
			needed = needed || g.needed(now, t.life())
		}
		if !needed {
			t.drop(set[0].Repository, now)
		}
	}
	return d
}

// drop looks again: the repository may have been granted anew since the snapshot.
func (t *table) drop(repository string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if set, _ := t.grants.Peek(repository); len(set.collect(now, t.life())) == 0 {
		t.grants.Remove(repository)
	}
}

func (t *table) full() bool { return t.count() == maxRepositories }

func (t *table) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.grants.Len()
}
