package ledger

import (
	"context"
	"slices"
	"time"
)

// Bounds of waiting for others to know.
const (
	toldRows   = 16                     // of what changed last here, at first
	toldResend = 150 * time.Millisecond // a packet may be lost
	toldBound  = 400 * time.Millisecond // a member that is gone without our knowing it says nothing
)

// wait is for members to know our changes up to one of them. Guarded by the mu of Gossip.
type wait struct {
	origin string
	upTo   uint64
	left   []string
	over   chan struct{} // closed when there are none left
}

// Told returns when all other live members know what was recorded here until now, or 400 ms have passed. Who is told by
// then that something is deleted does not get it through another one.
func (g *Gossip) Told(ctx context.Context) { g.told(ctx, g.wire.Others()) }

func (g *Gossip) told(ctx context.Context, members []string) {
	w, err := g.waitFor(members)
	if err != nil || w == nil {
		g.complain(err)
		return
	}
	defer func() {
		g.mu.Lock()
		delete(g.waits, w)
		g.mu.Unlock()
	}()
	bound, resend := time.NewTimer(g.patience), time.NewTimer(0)
	defer bound.Stop()
	defer resend.Stop()
	for {
		select {
		case <-w.over:
			return
		case <-ctx.Done():
			return
		case <-bound.C:
			return
		case <-resend.C:
			g.tellThose(w)
			resend.Reset(toldResend)
		}
	}
}

func (g *Gossip) waitFor(members []string) (w *wait, err error) {
	if len(members) == 0 {
		return nil, nil
	}
	w = &wait{left: slices.Clone(members), over: make(chan struct{})}
	err = g.ledger.read(func(t *tx) { w.origin, w.upTo = t.origin(), t.known(t.origin()) })
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits[w] = true
	return w, nil
}

// tellThose tells those who have not said that they know, and asks them.
func (g *Gossip) tellThose(w *wait) {
	g.mu.Lock()
	left := slices.Clone(w.left)
	g.mu.Unlock()
	var page Page
	err := g.ledger.read(func(t *tx) {
		vector := t.vector()
		vector[w.origin] = max(toldRows, w.upTo) - toldRows
		page = t.since(vector, toldRows)
	})
	if err != nil {
		g.complain(err)
		return
	}
	data := marshal(news{Page: page.Encode(), Knows: true})
	for _, member := range left {
		g.wire.Tell(member, data)
	}
}

// say tells a member what we know.
func (g *Gossip) say(member string) {
	vector, err := g.ledger.Vector()
	if err != nil {
		g.complain(err)
		return
	}
	g.wire.Tell(member, marshal(news{Have: vector}))
}

// noted takes note of what a member knows, and reports whether that is less than somebody waits for.
func (g *Gossip) noted(member string, have map[string]uint64) (lacks bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for w := range g.waits {
		i := slices.Index(w.left, member)
		switch {
		case i < 0:
		case have[w.origin] < w.upTo:
			lacks = true
		default:
			if w.left = slices.Delete(w.left, i, i+1); len(w.left) == 0 {
				close(w.over)
			}
		}
	}
	return lacks
}
