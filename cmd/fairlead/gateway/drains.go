package gateway

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
)

// drains is whether this gateway has DNS send nobody to it any more: because somebody said so (`fairlead drain`), or
// because it stops. It serves whoever comes all the same.
type drains struct {
	changing sync.Mutex
	now      atomic.Pointer[drained] // nil: it does not
	stopping bool                    // Guarded by changing.
}

// drained is never changed.
type drained struct {
	since  time.Time
	fronts []netip.Addr // its own; none where it cannot know them: then only probes tell
	// Another gateway stands behind the region's only address, too: DNS goes on to name it.
	shared bool
}

// state is nil where this gateway does not drain. It costs next to nothing.
func (d *drains) state() *drained { return d.now.Load() }

var (
	errNobodyElse = errors.New("nobody else can take this gateway's clients")
	errStopping   = errors.New("this gateway stops already")
)

// begin is called again without harm. A stop goes on whatever it returns.
func (d *drains) begin(g *Gateway, stop bool) (*drained, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	d.stopping = d.stopping || stop
	if s := d.now.Load(); s != nil {
		return s, nil
	}
	s := &drained{since: time.Now(), fronts: ownFronts(g.live.config())}
	s.shared = g.shares(s.fronts)
	alone := len(s.fronts) > 0 && !s.shared && !g.othersServe(s.fronts)
	if alone && !stop {
		return nil, errNobodyElse
	}
	d.now.Store(s)
	if alone {
		return s, errNobodyElse
	}
	g.tellDrained(s)
	return s, nil
}

// cancel has clients come again.
func (d *drains) cancel(g *Gateway) error {
	d.changing.Lock()
	defer d.changing.Unlock()
	switch {
	case d.stopping:
		return errStopping
	case d.now.Load() == nil:
		return nil
	}
	d.now.Store(nil)
	g.tellDrained(nil)
	return nil
}

// fileChanged has the fronts leave DNS that this gateway has by another file.
func (d *drains) fileChanged(g *Gateway) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if before := d.now.Load(); before != nil {
		s := &drained{since: before.since, fronts: ownFronts(g.live.config())}
		s.shared = g.shares(s.fronts)
		d.now.Store(s)
		g.tellDrained(s)
	}
}

// tellDrained is what DNS here, and the other gateways, hear of it; nil: it drains no more.
func (g *Gateway) tellDrained(s *drained) {
	var leaving []netip.Addr
	if s != nil && !s.shared {
		leaving = s.fronts
	}
	g.monitor.Leave(leaving)
	if g.agreed != nil {
		g.agreed.SetDraining(s != nil)
		g.agreed.leave(leaving)
	}
}

// drain is an operator's word.
func (g *Gateway) drain(on bool) error {
	if !on {
		if err := g.drains.cancel(g); err != nil {
			return err
		}
		g.log.Info("draining was cancelled: DNS sends clients here again")
		return nil
	}
	s, err := g.drains.begin(g, false)
	if err == nil {
		g.log.Info("draining: clients that come are served, and DNS sends nobody here", "since", s.since,
			"fronts", s.fronts)
	}
	return err
}

func (g *Gateway) drained() admin.Drain {
	out := admin.Drain{Fronts: []string{}}
	s := g.drains.state()
	if s == nil {
		return out
	}
	out.Draining, out.Since, out.Forgotten, out.Shared = true, s.since, s.since.Add(g.forgotten()), s.shared
	for _, f := range s.fronts {
		out.Fronts = append(out.Fronts, f.String())
	}
	return out
}
