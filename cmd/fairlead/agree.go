package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/router"
)

// How often what members see is compared, what only this gateway cannot reach probed, and the key file read again. All cost
// next to nothing.
const (
	compareEvery = 250 * time.Millisecond
	blindEvery   = 2 * time.Second
	keysEvery    = 5 * time.Second
)

// agreement is what a gateway that knows others does with them: it agrees on owners, and on what DNS
// takes for up.
type agreement struct {
	// Static after newAgreement.
	*cluster.Cluster
	config  *configs.Cluster
	here    string
	monitor *health.Monitor
	log     *slog.Logger
	port    string // of fronts

	// Written by compare, as one.
	seen atomic.Pointer[sight]
}

// sight is what is known of the fleet at one moment.
type sight struct {
	own       *router.Fleet   // by our own probes
	agreed    *router.Fleet   // as most members see it: for DNS, since one gateway that is blind moves nobody
	reach     *router.Fleet   // what requests can reach from here, if need be through a front
	witnessed map[string]bool // see there
	lost      map[string]int  // by replica, how many members have lost its upstream
}

func newAgreement(c *configs.Config, m *health.Monitor, reg prometheus.Registerer, log *slog.Logger) (*agreement, error) {
	keys, err := c.Cluster.Keys()
	if err != nil {
		return nil, err
	}
	members, err := cluster.New(cluster.Config{
		Name: c.Cluster.Name, Listen: c.Cluster.Listen, Peers: c.Cluster.Peers, Keys: keys,
		Here: c.Here, Version: version().release, Idle: c.Lease.Idle, Log: log, Registerer: reg,
	})
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(c.Proxy.Listen[0])
	if err != nil {
		return nil, err
	}
	a := &agreement{Cluster: members, config: c.Cluster, here: c.Here, monitor: m, log: log, port: port}
	a.seen.Store(&sight{own: m.Fleet(), agreed: m.Fleet(), reach: m.Fleet()})
	return a, nil
}

// Accept outlives a client that goes away: its write has been accepted all the same.
func (a *agreement) Accept(ctx context.Context, repository, replica string) string {
	owner, _ := a.Cluster.Accept(context.WithoutCancel(ctx), repository, replica)
	return owner
}

// Agreed is the fleet for DNS, Reach the one for requests.
func (a *agreement) Agreed() *router.Fleet { return a.seen.Load().agreed }
func (a *agreement) Reach() *router.Fleet  { return a.seen.Load().reach }

// Front is the way to a replica whose upstream we cannot reach while most members can: a front of it
// that is up. Our own region's front is ourselves.
func (a *agreement) Front(replica string) (address string, ok bool) {
	s := a.seen.Load()
	if replica == a.here {
		return "", false
	}
	front := detour(s.own.Replica(replica), s.agreed.Replica(replica))
	return net.JoinHostPort(front.String(), a.port), front.IsValid()
}

// detour is the zero Addr where none is needed, or none is to be had: a front that only others reach is
// no way for us.
func detour(own, agreed *router.Replica) netip.Addr {
	if reachable(own, true) || !agreed.Upstream.Up {
		return netip.Addr{}
	}
	for _, f := range own.Fronts {
		if f.Health.Up {
			return f.Addr
		}
	}
	return netip.Addr{}
}

// End tells all that an owner is lost, if most of us have said so and nobody beside it says otherwise: most may only
// have lost the way to it. A gateway that is cut off, has only just come back, or is alone in not reaching the owner,
// goes elsewhere by itself and takes the lease from nobody.
func (a *agreement) End(repository, owner string) {
	s := a.seen.Load()
	if !s.witnessed[owner] && mayEnd(s.lost[owner], len(a.Members()), len(a.config.Peers)) {
		a.log.Info("lease ended: its owner is lost", "repository", repository, "owner", owner, "lost_for", s.lost[owner])
		a.Cluster.End(repository, owner)
	}
}

// mayEnd: lost counts the members that see the owner down. Whether peers hold this gateway itself or not, half of
// them or fewer is no majority; nor is it of members, who may be more than our file knows.
func mayEnd(lost, members, peers int) bool { return 2*lost > max(members, peers) }

// joined: until the others were asked for what they know, leases would be granted that they hold.
func (a *agreement) joined() admin.Check {
	check := admin.Check{Name: "every peer tried once"}
	select {
	case <-a.Tried():
	default:
		check.Problem = "not yet"
	}
	return check
}

func (a *agreement) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return a.Run(ctx) })
	all.Go(func() error { a.compare(ctx); return nil })
	all.Go(func() error { every(ctx, blindEvery, a.lookAgain); return nil })
	all.Go(func() error { a.followKeys(ctx); return nil })
	return all.Wait()
}

// compare tells the others what we see once we have seen everything, and keeps the fleet of the
// majority current.
func (a *agreement) compare(ctx context.Context) {
	every(ctx, compareEvery, func() {
		own := a.monitor.Fleet()
		select {
		case <-a.monitor.Ready():
			a.SetView(viewOf(own))
		default:
		}
		a.seen.Store(a.look(own))
	})
}

// every runs do once in each pause, until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

func (a *agreement) look(own *router.Fleet) *sight {
	views := a.Views()
	most, witnessed := agreed(own, views), witnessed(a.Members(), views)
	reach := own.With(func(replica string, front netip.Addr) bool {
		if front.IsValid() || replica == a.here {
			return ownWord(own, replica, front)
		}
		mine, theirs := own.Replica(replica), most.Replica(replica)
		return reachable(mine, theirs.Upstream.Up || witnessed[replica]) || detour(mine, theirs).IsValid()
	})
	return &sight{own, most, reach, witnessed, lost(views)}
}

// reachable: what is down by our own probes takes ten good ones to be up. Where others vouch for it, only the way to it
// was cut, and one is enough.
func reachable(own *router.Replica, vouched bool) bool {
	return own.Upstream.Up || vouched && answers(own)
}

// answers: it is down, and its last probe was good.
func answers(r *router.Replica) bool { return !r.Upstream.Up && r.Upstream.ChangeIn > 0 }

// witnessed are the replicas that a member beside them sees up. That one knows best: after a cut most others may still
// think of the way as lost.
func witnessed(members []cluster.Member, views map[string]map[string]cluster.View) map[string]bool {
	by := map[string]bool{}
	for _, m := range members {
		if views[m.Name][m.Here].Upstream {
			by[m.Here] = true
		}
	}
	return by
}

// lookAgain probes out of turn what only this gateway cannot reach: the way to it may be mended by now.
func (a *agreement) lookAgain() {
	s := a.seen.Load()
	for _, own := range s.own.Replicas() {
		if !own.Upstream.Up && (s.agreed.Replica(own.Name).Upstream.Up || s.witnessed[own.Name]) {
			a.monitor.Trouble(own.Name)
		}
	}
}

// lost counts the members that see a replica's upstream down, and have not heard from it since.
func lost(views map[string]map[string]cluster.View) map[string]int {
	count := map[string]int{}
	for _, of := range views {
		for replica, v := range of {
			if !v.Upstream && !v.Answers {
				count[replica]++
			}
		}
	}
	return count
}

func viewOf(f *router.Fleet) map[string]cluster.View {
	views := map[string]cluster.View{}
	for _, r := range f.Replicas() {
		v := cluster.View{Upstream: r.Upstream.Up, Answers: answers(&r), Fronts: map[string]bool{}}
		for _, front := range r.Fronts {
			v.Fronts[front.Addr.String()] = front.Health.Up
		}
		views[r.Name] = v
	}
	return views
}

// agreed is own with the majority's word, where anybody knows. Members with another file may know
// nothing of a replica.
func agreed(own *router.Fleet, views map[string]map[string]cluster.View) *router.Fleet {
	return own.With(func(replica string, front netip.Addr) bool {
		var opinions []bool
		for _, of := range views {
			v, knows := of[replica]
			if !knows {
				continue
			}
			up := v.Upstream
			if front.IsValid() {
				up, knows = v.Fronts[front.String()]
			}
			if knows {
				opinions = append(opinions, up)
			}
		}
		if len(opinions) == 0 {
			return ownWord(own, replica, front)
		}
		return cluster.Majority(opinions)
	})
}

func ownWord(own *router.Fleet, replica string, front netip.Addr) bool {
	r := own.Replica(replica)
	if !front.IsValid() {
		return r.Upstream.Up
	}
	return slices.ContainsFunc(r.Fronts, func(f router.Front) bool { return f.Addr == front && f.Health.Up })
}

// followKeys takes over a key file that has changed: keys can be rotated without an outage.
func (a *agreement) followKeys(ctx context.Context) {
	every(ctx, keysEvery, func() {
		keys, err := a.config.Keys()
		if err == nil && len(keys) > 0 {
			err = a.SetKeys(keys)
		}
		if err != nil {
			a.log.Warn("the cluster's key file cannot be taken over; the old keys go on", "error", err)
		}
	})
}
