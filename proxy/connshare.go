package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// share is how many of the connections one client (clientPrefix) may have, so that none has all of them. For one more,
// the client's own that has been without a request for longest is closed. Where all of them are busy the connection is
// accepted all the same, and its request waits for a moment, then it is refused with an answer. Of such connections
// there are few, and what comes beyond them is closed.
//
// A trusted proxy is no client: what it forwards counts, as requests do (room). With a PROXY header its connection is
// that of the client in it, as soon as a request has come.
type share struct {
	refused prometheus.Counter

	// Guarded by ConnLimiter.mu.
	most     int // within the share
	mostOver int // beyond one, of all clients together
	over     int
	of       map[netip.Prefix]*clientConns
}

// clientConns are the connections of one client.
type clientConns struct {
	who    netip.Prefix
	open   int    // within the share
	over   int    // beyond it
	unused unused // of those within it
}

// newShare leaves half of what one client does not get for those beyond a share, and half for others.
func newShare(all int, part float64, registerer prometheus.Registerer) share {
	s := share{
		of: map[netip.Prefix]*clientConns{},
		refused: promauto.With(registerer).NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_connections_refused_total",
			Help: "Clients' connections that were closed at once, because their client had many more than its share.",
		}),
	}
	s.set(all, part)
	return s
}

// set needs ConnLimiter.mu.
func (s *share) set(all int, part float64) {
	s.most = max(int(part*float64(all)), 1)
	s.mostOver = (all - s.most) / 2
}

// take counts a connection that was just accepted; false: there is no room for it. Its own client's connections make
// room.
func (l *ConnLimiter) take(c *boundConn, trusted []netip.Prefix) bool {
	who := addrOf(c.socket().RemoteAddr().String())
	if !who.IsValid() || isTrusted(who, trusted) {
		return true
	}
	l.belongs(c, who)
	return l.settle(c, time.Now()) || l.mayStay()
}

// belongs says whose connection it is, once. It begins beyond the share.
func (l *ConnLimiter) belongs(c *boundConn, client netip.Addr) {
	who := clientPrefix(client)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.of != nil || c.gone {
		return
	}
	of := l.share.of[who]
	if of == nil {
		of = &clientConns{who: who, unused: newUnused(cap(l.slots) + 1)}
		l.share.of[who] = of
	}
	of.over++
	l.share.over++
	c.of, c.over = of, true
}

// settle brings a connection within its client's share, if that has room, or an unused one that can go.
func (l *ConnLimiter) settle(c *boundConn, now time.Time) bool {
	for {
		within, goes := l.trySettle(c, now)
		if within || goes == nil {
			return within
		}
		l.close(goes)
	}
}

func (l *ConnLimiter) trySettle(c *boundConn, now time.Time) (within bool, goes *boundConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.gone:
		return false, nil
	case !c.over:
		return true, nil
	case c.of.open >= l.share.most:
		return false, c.of.unused.longest(now, l.young)
	}
	c.over = false
	c.of.over--
	l.share.over--
	c.of.open++
	c.within.Store(true)
	return true, nil
}

// mayStay reports whether the connection that was counted last may be there beyond its client's share.
func (l *ConnLimiter) mayStay() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.share.over <= l.share.mostOver {
		return true
	}
	l.share.refused.Inc()
	return false
}

// leave forgets a connection that is closed.
func (l *ConnLimiter) leave(c *boundConn) {
	l.mu.Lock()
	c.gone = true
	l.share.forget(c)
	l.mu.Unlock()
	<-l.slots
}

// forget needs ConnLimiter.mu.
func (s *share) forget(c *boundConn) {
	of := c.of
	if of == nil {
		return
	}
	if c.over {
		of.over--
		s.over--
	} else {
		of.open--
	}
	of.unused.note(c, http.StateClosed, time.Time{})
	if of.open+of.over == 0 {
		delete(s.of, of.who)
	}
	c.of, c.over = nil, false
}

// admit reports whether a request may come by a connection, whose peer the server has read. One beyond the share waits
// until an unused one of its client's can go, which takes as long as that is young.
func (c *boundConn) admit(ctx context.Context, peer netip.Addr, trusted []netip.Prefix) bool {
	if c.within.Load() {
		return true
	}
	l := c.limiter
	if !peer.IsValid() || isTrusted(peer, trusted) {
		c.within.Store(true)
		return true
	}
	l.belongs(c, peer)
	ctx, cancel := context.WithTimeout(ctx, 2*l.young)
	defer cancel()
	again := time.NewTicker(max(l.young/4, time.Millisecond))
	defer again.Stop()
	for !l.settle(c, time.Now()) {
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
	return true
}
