package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
)

// How often what members see is compared, and what only this gateway cannot reach probed. Both cost next to nothing.
const (
	compareEvery     = 250 * time.Millisecond
	unreachableEvery = 2 * time.Second
)

// agreement is what a gateway that knows others does with them: it agrees on owners, and on what DNS
// takes for up.
type agreement struct {
	// Static after newAgreement.
	*cluster.Cluster
	config     func() *configs.Config
	here       string
	port       string // of fronts
	monitor    *health.Monitor
	gossip     *ledger.Gossip
	checkpoint *audit.Checkpoint
	holder     func(replica string) string // which registry it is
	log        *slog.Logger

	// Written by compare, as one.
	seen atomic.Pointer[router.FleetView]

	telling sync.Mutex   // Held while a view is made and told: a later one is never overwritten by an earlier one.
	leaving []netip.Addr // this gateway's own fronts, once it stops. Guarded by telling.
}

// Notes between gateways are about one of these.
const (
	noteLedger cluster.NoteKind = 'l'
	noteBlob   cluster.NoteKind = 'b'
)

// newAgreement opens the cluster's sockets. It hears of others at once; they hear of the ledger, and of what is seen
// here, once it runs.
func newAgreement(
	config func() *configs.Config, release string, m *health.Monitor, l *ledger.Ledger, checkpoint *audit.Checkpoint,
	reg prometheus.Registerer, log *slog.Logger,
) (*agreement, error) {
	c := config()
	keys, err := keyfiles.ClusterKeys(c.Cluster.Key)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(c.Proxy.Listen[0])
	if err != nil {
		return nil, err
	}
	members, err := cluster.New(cluster.Config{
		Name: c.Cluster.Name, Listen: c.Cluster.Listen, Peers: c.Cluster.Peers, Keys: keys,
		Here: c.Here, Hostname: c.Hostname, Version: release,
		Idle: c.Lease.Idle, Log: log, Registerer: reg,
	})
	if err != nil {
		return nil, err
	}
	gossip := ledger.NewGossip(l, wire{members, c.Cluster.Name}, log)
	members.HandleNotes(noteLedger, gossip.Hear)
	a := &agreement{
		Cluster: members, config: config, here: c.Here, port: port, monitor: m, gossip: gossip,
		checkpoint: checkpoint, holder: l.Holder, log: log,
	}
	a.seen.Store(router.NewFleetView(m.Fleet(), nil, c.Here, &router.FleetView{}, time.Now()))
	return a, nil
}

// wire is how ledgers reach each other.
type wire struct {
	*cluster.Cluster
	own string // this member's name
}

func (w wire) Tell(member string, data []byte) { w.Note(noteLedger, member, data) }
func (w wire) TellAll(data []byte)             { w.NoteAll(noteLedger, data) }

func (w wire) Others() (names []string) {
	for _, m := range w.Members() {
		if m.Name != w.own {
			names = append(names, m.Name)
		}
	}
	return names
}

// Accept outlives a client that goes away: its write has been accepted all the same.
func (a *agreement) Accept(ctx context.Context, repository, replica string) string {
	owner, _ := a.Cluster.Accept(context.WithoutCancel(ctx), repository, replica)
	return owner
}

// Agreed is the fleet for DNS, Reach the one for requests.
func (a *agreement) Agreed() *router.Fleet { return a.seen.Load().Agreed }
func (a *agreement) Reach() *router.Fleet  { return a.seen.Load().Reachable }

// Front is the way to a replica whose upstream we cannot reach while others can: a front of it that is up.
func (a *agreement) Front(replica string) (address string, ok bool) {
	front := a.seen.Load().RelayFront(replica)
	return net.JoinHostPort(front.String(), a.port), front.IsValid()
}

// RevokeLost tells all that an owner is lost, if most of us have said so. A gateway that is cut off, has only just come
// back, or is alone in not reaching the owner, goes elsewhere by itself and takes the lease from nobody.
func (a *agreement) RevokeLost(repository, owner string) {
	if a.seen.Load().MayEnd(owner, len(a.Members()), len(a.config().Cluster.Peers)) {
		a.log.Info("a lease was revoked: its owner is lost", "repository", repository, "owner", owner)
		a.Revoke(repository, owner)
	}
}

// RevokeReadOnly ends the lease of an owner that refuses the repository's writes: any gateway would be told the same.
func (a *agreement) RevokeReadOnly(repository, owner string) {
	a.log.Info("a lease was revoked: its owner is read-only", "repository", repository, "owner", owner)
	a.Revoke(repository, owner)
}

// RevokeDrained ends the lease of an owner where nothing new starts: the push had its time there.
func (a *agreement) RevokeDrained(repository, owner string) {
	a.log.Info("a lease was revoked: its owner drains", "repository", repository, "owner", owner)
	a.Revoke(repository, owner)
}

// Last is when a write of the repository was announced last.
func (a *agreement) Last(repository string) time.Time {
	g, _ := a.Lease(repository)
	return g.Last
}

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

// fitting: what another gateway is wrong about keeps this one from nothing.
func (a *agreement) fitting() admin.Check {
	return admin.Check{Name: "all gateways fit together", Note: strings.Join(a.Misfits(), "; ")}
}

func (a *agreement) run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return a.Run(ctx) })
	all.Go(func() error { a.gossip.Run(ctx); return nil })
	all.Go(func() error { a.compare(ctx); return nil })
	all.Go(func() error { every(ctx, unreachableEvery, a.probeUnreachable); return nil })
	all.Go(func() error {
		a.FollowKeys(ctx, func() ([][]byte, error) { return keyfiles.ClusterKeys(a.config().Cluster.Key) })
		return nil
	})
	return all.Wait()
}

// compare tells the others what we see once we have seen everything, and keeps the fleet of the
// majority current.
func (a *agreement) compare(ctx context.Context) {
	every(ctx, compareEvery, func() {
		own := a.monitor.Fleet()
		select {
		case <-a.monitor.Ready():
			a.tell(own)
		default:
		}
		a.seen.Store(router.NewFleetView(own, a.witnesses(), a.here, a.seen.Load(), time.Now()))
	})
}

// leave tells all at once that these fronts close.
func (a *agreement) leave(fronts []netip.Addr) {
	a.telling.Lock()
	a.leaving = fronts
	a.telling.Unlock()
	a.tell(a.monitor.Fleet())
}

func (a *agreement) tell(own *router.Fleet) {
	a.telling.Lock()
	defer a.telling.Unlock()
	all := viewOf(own, func(replica string) string {
		if holder := a.holder(replica); a.checkpoint.Surveyed(holder) {
			return holder
		}
		return ""
	})
	if len(a.leaving) > 0 {
		v := all[a.here]
		for _, f := range a.leaving {
			v.Leaving = append(v.Leaving, f.String())
		}
		all[a.here] = v
	}
	a.SetReports(all)
}

// probeUnreachable probes out of turn what only this gateway cannot reach: the way to it may be repaired by now.
func (a *agreement) probeUnreachable() {
	s := a.seen.Load()
	for _, r := range s.Own.Replicas() {
		if s.UnreachableHere(r.Name) {
			a.monitor.Trouble(r.Name)
		}
	}
}

func viewOf(f *router.Fleet, surveyed func(replica string) string) map[string]cluster.Report {
	all := map[string]cluster.Report{}
	for _, r := range f.Replicas() {
		v := cluster.Report{Upstream: r.Upstream.Up, Fronts: map[string]bool{}, Surveyed: surveyed(r.Name)}
		for _, front := range r.Fronts {
			if r.FrontsUnseen {
				break // others know
			}
			v.Fronts[front.Addr.String()] = front.Health.Up
		}
		all[r.Name] = v
	}
	return all
}

// surveyed: one of the gateways has found out what the replica had before anybody recorded it.
func (a *agreement) surveyed(replica string) bool {
	for _, sees := range a.FleetView() {
		if sees[replica].Surveyed == a.holder(replica) {
			return true
		}
	}
	return false
}

func (a *agreement) witnesses() []router.GatewayView {
	views := a.FleetView()
	var all []router.GatewayView
	for _, m := range a.Members() {
		w := router.GatewayView{Here: m.Here, Sees: map[string]router.ReplicaView{}}
		for replica, v := range views[m.Name] {
			w.Sees[replica] = router.ReplicaView{Upstream: v.Upstream, Fronts: v.Fronts, Leaving: v.Leaving}
		}
		all = append(all, w)
	}
	return all
}
