package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of a spread.
const (
	maxSpreads   = 4096                   // under way
	spreadResend = 150 * time.Millisecond // a packet may be lost
	spreadBound  = 400 * time.Millisecond // a member that is gone without our knowing it says nothing
)

// spread is a grant on its way to the members: those that have not confirmed it.
type spread struct {
	left map[string]bool // Guarded by the mu of spreads.
	over chan struct{}   // closed when all have, or the bound has passed
}

// granted names one grant.
type granted struct {
	repository string
	stamp      hlc.Stamp
}

func (g Grant) name() granted { return granted{g.Repository, g.Stamp} }

// spreads are those under way, and the grants that have gone to all.
type spreads struct {
	closed chan struct{} // Static.

	// Guarded by mu.
	mu   sync.Mutex
	of   map[granted]*spread
	shut bool
	told *simplelru.LRU[string, hlc.Stamp]
	wg   sync.WaitGroup // incremented under mu only, and never once shut
}

func newSpreads() *spreads {
	told, err := simplelru.NewLRU[string, hlc.Stamp](maxRepositories, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &spreads{closed: make(chan struct{}), of: map[granted]*spread{}, told: told}
}

// open finds or makes the spread of a grant; first: the caller runs it. nil: it has gone to all, or there are too many.
func (s *spreads) open(g Grant, members []string) (p *spread, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if told, ok := s.told.Get(g.Repository); ok && told == g.Stamp {
		return nil, false
	}
	if p, ok := s.of[g.name()]; ok {
		return p, false
	}
	if s.shut || len(s.of) == maxSpreads || len(members) == 0 {
		return nil, false
	}
	p = &spread{left: map[string]bool{}, over: make(chan struct{})}
	for _, name := range members {
		p.left[name] = true
	}
	s.of[g.name()] = p
	s.wg.Add(1)
	return p, true
}

// heard: a member knows the grant.
func (s *spreads) heard(g Grant, member string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.of[g.name()]; ok && p.left[member] {
		if delete(p.left, member); len(p.left) == 0 {
			close(p.over)
		}
	}
}

func (s *spreads) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	close(s.closed)
}

// done ends a spread. What not all have heard is told once all the same: the rest is for comparing digests.
func (s *spreads) done(g Grant, p *spread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p.left) > 0 {
		close(p.over)
	}
	delete(s.of, g.name())
	s.told.Add(g.Repository, g.Stamp)
	s.wg.Done()
}

func (s *spreads) missing(p *spread) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range p.left {
		names = append(names, name)
	}
	return names
}

// Spread returns when all live members know who owns the repository, as far as it is owned, or 400 ms have passed. It
// waits only once for each lease. Who is told by then that a push is accepted can read it through any gateway.
func (c *Cluster) Spread(ctx context.Context, repository string) {
	if p := c.spread(repository); p != nil {
		select {
		case <-p.over:
		case <-ctx.Done():
		}
	}
}

func (c *Cluster) spread(repository string) *spread {
	g, ok := c.table.owner(repository, c.now())
	if !ok {
		return nil
	}
	var names []string
	for _, m := range c.members.others() {
		names = append(names, m.node.Name)
	}
	p, first := c.spreads.open(g, names)
	if first {
		go func() {
			defer c.spreads.done(g, p)
			c.tellAll(g, p, spreadResend)
			c.tellAll(g, p, spreadBound-spreadResend)
		}()
	}
	return p
}

// tellAll tells the grant to whom it is missing, and waits for them.
func (c *Cluster) tellAll(g Grant, p *spread, wait time.Duration) {
	m := c.message(typeSpread)
	m.Repository, m.Grants = g.Repository, []wireGrant{toWire(g, c.now())}
	data := m.encode()
	for _, name := range c.spreads.missing(p) {
		if to, ok := c.members.get(name); ok {
			c.send(to, typeSpread, data)
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.over:
	case <-timer.C:
	case <-c.spreads.closed:
	}
}

// confirm says that we have heard of a grant.
func (c *Cluster) confirm(from member, m message) {
	c.mergeGrants(from, m.Grants, true)
	answer := c.message(typeHeard)
	answer.Repository, answer.Grants = m.Repository, m.Grants
	c.send(from, typeHeard, answer.encode())
}
