package cluster

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Settings are what may change while a member runs. Nothing of them is changed by whoever has them.
type Settings struct {
	Peers []string      // host or host:port, by name or address; need not be all, may hold ourselves
	Idle  time.Duration // of leases, above 0
	// Shared is what all members are to have alike, as a hash of its value for each key: at most 8,192 keys of at most
	// 128 bytes. Without it nothing is compared.
	Shared map[string]string
}

// Check says why a member cannot go on with these settings.
func (c *Cluster) Check(s Settings) error {
	next := c.cfg
	next.Settings = s
	return next.check()
}

// Update goes on with settings that have passed Check. Peers that are new are joined, and looked for from now on; those
// that are gone are looked for no more, and stay members for as long as they live. A lease ends by its last write and by
// the idle time of the moment.
func (c *Cluster) Update(s Settings) {
	s.Peers = slices.Clone(s.Peers)
	c.settings.Store(&s)
	c.table.setIdle(s.Idle)
	c.files.setOwn(s.Shared)
	select {
	case c.updated <- struct{}{}:
	default: // keepPeers has not yet looked at what was set before
	}
}

// keepPeers looks for whoever the settings name, until ctx ends.
func (c *Cluster) keepPeers(ctx context.Context) {
	var all, first sync.WaitGroup
	defer all.Wait()
	looking := map[string]context.CancelFunc{}
	look := func(tried func()) {
		peers := c.settings.Load().Peers
		for peer, stop := range looking {
			if !slices.Contains(peers, peer) {
				stop()
				delete(looking, peer)
			}
		}
		for _, peer := range peers {
			if looking[peer] == nil {
				ctx, stop := context.WithCancel(ctx)
				looking[peer] = stop
				all.Go(func() { c.keepJoined(ctx, peer, tried) })
			}
		}
	}
	first.Add(len(c.settings.Load().Peers))
	look(first.Done)
	all.Go(func() { first.Wait(); close(c.tried) })
	for {
		select {
		case <-ctx.Done():
			for _, stop := range looking {
				stop()
			}
			return
		case <-c.updated:
			look(func() {})
		}
	}
}
