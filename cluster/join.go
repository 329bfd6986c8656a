package cluster

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/backoff"
)

const (
	resolveTimeout = 2 * time.Second
	resolveEvery   = 30 * time.Second // while all that a name stands for are members
	maxPerName     = 64

	// Whoever is missing is tried for ever, since a partition may last for days and must be over 5 s after it heals;
	// one SYN a second is what that costs.
	joinLeast = 250 * time.Millisecond
	joinMost  = time.Second

	// An address that we joined and that no member has, is one behind which a member says another: not to be asked for
	// its complete state every second.
	joinedElsewhere = 30 * time.Second

	// A member that we held for dead has to refute that before it is in, and that we are dead it may hold, too.
	joinTries = 5
)

var (
	joining   = backoff.Policy{First: joinLeast, Most: joinMost}
	rejoining = backoff.Policy{First: joinMost, Most: joinMost} // of those that are in no file of ours
)

// tries counts how often an address was joined without anybody there becoming a member.
type tries struct {
	count int
	last  time.Time
}

// keepJoined sees to it that whoever is at peer is a member. tried is called once, after the first attempt.
func (c *Cluster) keepJoined(ctx context.Context, peer string, tried func()) {
	tried = sync.OnceFunc(tried)
	defer tried()
	var at []netip.AddrPort
	var resolved time.Time
	failures := 1
	answered := map[netip.AddrPort]tries{}
	for ; ; failures++ {
		if now := c.now(); !c.allIn(at) || now.Sub(resolved) > resolveEvery {
			at, resolved = c.resolve(ctx, peer), now
		}
		if c.join(ctx, c.toJoin(at, answered), answered) {
			failures = 1
		}
		tried()
		if !sleep(ctx, joining.Wait(failures, rand.Float64())) {
			return
		}
	}
}

// rejoinLost does the same for members that are in no file of ours.
func (c *Cluster) rejoinLost(ctx context.Context) {
	answered := map[netip.AddrPort]tries{}
	for sleep(ctx, rejoining.Wait(1, rand.Float64())) {
		c.join(ctx, c.toJoin(c.members.missing(c.now()), answered), answered)
	}
}

func (c *Cluster) allIn(at []netip.AddrPort) bool {
	for _, a := range at {
		if !c.members.at(a) {
			return false
		}
	}
	return len(at) > 0
}

func (c *Cluster) toJoin(at []netip.AddrPort, answered map[netip.AddrPort]tries) []netip.AddrPort {
	now := c.now()
	var out []netip.AddrPort
	for _, a := range at {
		if c.members.at(a) {
			delete(answered, a)
		} else if t := answered[a]; t.count < joinTries || now.Sub(t.last) > joinedElsewhere {
			out = append(out, a)
		}
	}
	return out
}

func (c *Cluster) resolve(ctx context.Context, peer string) []netip.AddrPort {
	host, port := splitPeer(peer)
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		c.log.Debug("cluster peer not resolved", "peer", peer, "error", err)
		return nil
	}
	out := make([]netip.AddrPort, 0, len(addresses))
	for _, a := range addresses[:min(len(addresses), maxPerName)] {
		out = append(out, netip.AddrPortFrom(a.Unmap(), port))
	}
	return out
}

// join exchanges states with whoever is at the addresses, and reports whether anybody was.
func (c *Cluster) join(ctx context.Context, addresses []netip.AddrPort, answered map[netip.AddrPort]tries) bool {
	var wg sync.WaitGroup
	oks := make([]bool, len(addresses))
	for i, a := range addresses {
		wg.Go(func() {
			c.joins <- struct{}{}
			defer func() { <-c.joins }()
			if ctx.Err() == nil {
				count, _ := c.list().Join([]string{a.String()}) // logged by memberlist
				oks[i] = count > 0
			}
		})
	}
	wg.Wait()
	some := false
	for i, a := range addresses {
		if oks[i] {
			some = true
			answered[a] = tries{answered[a].count + 1, c.now()}
		}
	}
	return some
}

// sleep reports whether ctx was still going on when d had passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
