package cluster

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// Every round a member sends its digest to a few others. Whoever finds the same part differing twice in a row tells
// what it knows of it: news under way differ once. So what a lost packet or a partition too short to be noticed left
// behind is repaired within three rounds.
const (
	round        = time.Second
	comparedWith = 4 // members a round: with up to five all of them
	maxPause     = 60
)

func (c *Cluster) compare(ctx context.Context) {
	for sleep(ctx, round) {
		ours := c.table.digest(c.now())
		others := c.members.others()
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		m := c.message(typeDigest)
		m.Clock = c.now().UnixMilli()
		m.File, _ = c.files.own()
		m.Draining = c.draining.Load()
		if !c.table.full() { // tables that overflow differ for ever
			m.Digest = ours.bytes()
		}
		for _, to := range others[:min(len(others), comparedWith)] {
			m.Seen = c.reports.get(to.node.Name).Version
			m.FileSeen = c.files.seen(to.node.Name)
			c.send(to, typeDigest, m.encode())
		}
	}
}

// compareWith answers a digest with what its sender seems not to know.
func (c *Cluster) compareWith(from member, m message) {
	if o := c.reports.get(c.cfg.Name); m.Seen != o.Version {
		c.sendReport(from, o)
	}
	theirs, ok := parseDigest(m.Digest)
	if !ok || c.table.full() {
		c.repairs.forget(from.node.Name) // what cannot be compared is not known to differ
		return
	}
	now := c.now()
	mask := c.table.digest(now).differing(theirs)
	if mask = c.repairs.due(from.node.Name, mask); mask == 0 {
		return
	}
	reply := c.message(typeGrants)
	part := inBuckets(c.table.all(now), mask)
	for _, g := range part[:min(len(part), maxRepair)] {
		reply.Grants = append(reply.Grants, toWire(g, now))
	}
	if len(reply.Grants) > 0 {
		c.send(from, typeGrants, reply.encode())
	}
}

// repairs remembers which buckets differed from a member's.
type repairs struct {
	mu       sync.Mutex
	byMember map[string]repair // Guarded by mu.
}

type repair struct {
	differed uint64
	lasting  uint64 // what differed before, too
	done     int    // repairs since the tables were last alike
	pause    int    // rounds to let pass
}

func newRepairs() *repairs { return &repairs{byMember: map[string]repair{}} }

// due is what of mask is to be repaired now. What repair does not mend (a clock that is not believed) is repaired
// less and less often.
func (r *repairs) due(member string, mask uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.byMember[member]
	next, out := was.step(mask)
	r.byMember[member] = next
	return out
}

func (r repair) step(mask uint64) (next repair, due uint64) {
	lasting := mask & r.differed
	switch {
	case mask == 0:
		return repair{}, 0
	case r.pause > 0:
		return repair{mask, lasting, r.done, r.pause - 1}, 0
	case lasting == 0:
		return repair{mask, 0, r.done, 0}, 0
	}
	pause := 0
	if r.done >= 4 { // a large difference takes several
		pause = min(1<<min(r.done-3, 6), maxPause)
	}
	return repair{mask, lasting, r.done + 1, pause}, lasting
}

// lasting counts the parts that differ from those of any of the members and are no news under way. Only live members
// are asked for: a digest that was still being compared when its sender was lost may have come after forget.
func (r *repairs) lasting(members []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var mask uint64
	for _, m := range members {
		mask |= r.byMember[m].lasting
	}
	return bits.OnesCount64(mask)
}

func (r *repairs) forget(member string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byMember, member)
}
