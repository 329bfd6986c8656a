package proxy

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

// places bounds how many requests of one client (clientPrefix) each replica has under way, so that no client has all of
// the connections to it. Who comes beyond that waits for one of its own to end, in the order in which they came.
type places struct {
	mu   sync.Mutex
	most int                        // of one client at each replica. Guarded by mu.
	of   map[placeKey]*clientPlaces // of those that have some. Guarded by mu.
}

// placeKey is a replica, and a client, which has a whole prefix.
type placeKey struct {
	replica string
	client  netip.Prefix
}

// clientPlaces are those that one client has at one replica.
type clientPlaces struct {
	taken   int
	waiting []chan struct{} // closed by who hands its place on
}

func newPlaces(most int) *places {
	return &places{most: max(most, 1), of: map[placeKey]*clientPlaces{}}
}

// errTooManyThere is for a request that has waited in vain.
var errTooManyThere = errors.New(
	"this client has as many requests under way at this replica as one may (proxy.limits.client_share)")

// enter takes a place until leave is called. It waits for one as long as ctx lasts.
func (p *places) enter(ctx context.Context, who placeKey) (leave func(), err error) {
	p.mu.Lock()
	own := p.of[who]
	if own == nil {
		own = &clientPlaces{}
		p.of[who] = own
	}
	if own.taken < p.most {
		own.taken++
		p.mu.Unlock()
		return func() { p.leave(who) }, nil
	}
	turn := make(chan struct{})
	own.waiting = append(own.waiting, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		return func() { p.leave(who) }, nil
	case <-ctx.Done():
	}
	if !p.giveUp(own, turn) {
		p.leave(who) // it came in this moment
	}
	if why := context.Cause(ctx); !errors.Is(why, errNoAnswer) {
		return nil, why
	}
	return nil, errTooManyThere
}

// giveUp reports whether it still waited.
func (p *places) giveUp(own *clientPlaces, turn chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(own.waiting, turn)
	if i >= 0 {
		own.waiting = slices.Delete(own.waiting, i, i+1)
	}
	return i >= 0
}

// set lets in those who wait, as far as there may be more now. Where there may be fewer, nobody has to go.
func (p *places) set(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = max(most, 1)
	for _, own := range p.of {
		for own.taken < p.most && len(own.waiting) > 0 {
			own.taken++
			own.next()
		}
	}
}

// next lets in who has waited for longest. It needs places.mu.
func (c *clientPlaces) next() {
	close(c.waiting[0])
	c.waiting = slices.Delete(c.waiting, 0, 1)
}

// leave gives a place to whoever of the same client has waited for longest.
func (p *places) leave(who placeKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.of[who]
	if len(own.waiting) > 0 && own.taken <= p.most {
		own.next()
		return
	}
	if own.taken--; own.taken == 0 {
		delete(p.of, who)
	}
}
