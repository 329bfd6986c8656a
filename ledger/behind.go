package ledger

import "time"

// behind is what a gateway has to hear after it could not write its record: others have recorded pushes and deletions
// meanwhile, some of them on its behalf.
type behind struct {
	outages int             // after how many it has caught up
	trying  int             // after how many it tries to
	since   time.Time       // when it began to
	lacks   map[string]bool // the members that have not been heard since, or know more
}

// Current reports whether the ledger can be written, and knows what all live members knew since it last could not be.
func (g *Gossip) Current() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ledger.Available() == nil && g.behind.outages == g.ledger.Outages()
}

// catchUp asks those that have not been heard since the last outage what they have.
func (g *Gossip) catchUp(members []string, now time.Time) {
	if g.ledger.Available() != nil || g.Current() {
		return
	}
	g.mu.Lock()
	b, outages := &g.behind, g.ledger.Outages()
	if b.trying != outages {
		b.trying, b.since, b.lacks = outages, now, map[string]bool{}
		for _, member := range members {
			b.lacks[member] = true
		}
	}
	var ask []string
	for _, member := range members {
		if b.lacks[member] {
			ask = append(ask, member)
		}
	}
	if len(ask) == 0 { // those that are left are not alive
		b.outages = outages
	}
	g.mu.Unlock()
	for _, member := range ask {
		g.ask(member)
		g.wire.Tell(member, marshal(news{Knows: true}))
	}
}

// heardFrom notes that a member knows no more than we do. What came before we asked may be from before it wrote for us.
func (g *Gossip) heardFrom(member string, have map[string]uint64, at time.Time) {
	if g.Current() || g.ledger.Available() != nil {
		return
	}
	ours, err := g.ledger.Vector()
	if err != nil {
		return
	}
	for origin, n := range have {
		if ours[origin] < n {
			return
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.behind.trying == g.ledger.Outages() && at.After(g.behind.since) {
		delete(g.behind.lacks, member)
	}
}
