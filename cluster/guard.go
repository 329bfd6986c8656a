package cluster

import (
	"sync"
	"time"
)

// maxLate is how late a message may come. memberlist's encryption does not keep anybody from sending a captured
// message again, and an old "this grant was just used" would keep a lease alive: it must not work for longer than this.
const maxLate = 30 * time.Second

// guard knows, for each member, how long its process had been running when it sent the newest of its messages.
type guard struct {
	mu   sync.Mutex
	seen map[string]running // Guarded by mu. At most maxMembers: see forget.
}

type running struct {
	boot string
	up   time.Duration
}

// fresh reports whether a message of a member's present process is to be taken. Which process that is, is up to
// memberlist: it goes with a member's address, and a member whose address somebody repeats refutes it.
func (g *guard) fresh(member, boot string, up time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.seen[member]
	if old.boot != boot {
		old = running{boot: boot}
	}
	if up < old.up-maxLate {
		return false
	}
	old.up = max(old.up, up)
	g.seen[member] = old
	return true
}

func (g *guard) forget(member string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.seen, member)
}
