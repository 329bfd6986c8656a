package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/ledger"
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
	gossip  *ledger.Gossip
	copying *copying
	keys    [][]byte // with which it began

	// Written by compare, as one.
	seen atomic.Pointer[router.Sight]

	telling sync.Mutex   // Held while a view is made and told: a later one is never overwritten by an earlier one.
	leaving []netip.Addr // this gateway's own fronts, once it stops. Guarded by telling.
}

func newAgreement(c *configs.Config, release string, m *health.Monitor, kept *record, copies *copying, reg prometheus.Registerer, log *slog.Logger) (*agreement, error) {
	keys, err := c.Cluster.Keys()
	if err != nil {
		return nil, err
	}
	a := &agreement{config: c.Cluster, here: c.Here, monitor: m, log: log, copying: copies, keys: keys}
	a.gossip = ledger.NewGossip(kept.ledger, ledger.Wire{
		Tell:    func(member string, data []byte) { a.Note(member, append([]byte{noteLedger}, data...)) },
		TellAll: func(data []byte) { a.noteAll(noteLedger, data) },
		Members: a.others,
		Record:  kept.here,
	}, log)
	kept.told = a.gossip.Told
	kept.elsewhere = func(w ledger.Write) error { return a.gossip.Elsewhere(context.Background(), w) }
	kept.current = a.gossip.Current
	a.Cluster, err = cluster.New(cluster.Config{
		Name: c.Cluster.Name, Listen: c.Cluster.Listen, Peers: c.Cluster.Peers, Keys: keys,
		Here: c.Here, Hostname: c.Hostname, Version: release,
		Idle: c.Lease.Idle, OnNote: a.hear, Log: log, Registerer: reg,
	})
	if err != nil {
		return nil, err
	}
	if _, a.port, err = net.SplitHostPort(c.Proxy.Listen[0]); err != nil {
		return nil, err
	}
	a.seen.Store(router.NewSight(m.Fleet(), nil, c.Here, &router.Sight{}, time.Now()))
	return a, nil
}

// What a note is about is its first byte.
const (
	noteLedger = 'l'
	noteBlob   = 'b'
)

func (a *agreement) noteAll(kind byte, data []byte) { a.NoteAll(append([]byte{kind}, data...)) }

// hear does not wait.
func (a *agreement) hear(from string, note []byte) {
	if len(note) == 0 {
		return
	}
	switch note[0] {
	case noteLedger:
		a.gossip.Hear(from, note[1:])
	case noteBlob:
		a.copying.heard(note[1:])
	}
}

func (a *agreement) others() (names []string) {
	for _, m := range a.Members() {
		if m.Name != a.config.Name {
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
func (a *agreement) Reach() *router.Fleet  { return a.seen.Load().Reach }

// Front is the way to a replica whose upstream we cannot reach while others can: a front of it that is up.
func (a *agreement) Front(replica string) (address string, ok bool) {
	front := a.seen.Load().Detour(replica)
	return net.JoinHostPort(front.String(), a.port), front.IsValid()
}

// End tells all that an owner is lost, if most of us have said so. A gateway that is cut off, has only just come
// back, or is alone in not reaching the owner, goes elsewhere by itself and takes the lease from nobody.
func (a *agreement) End(repository, owner string) {
	if a.seen.Load().MayEnd(owner, len(a.Members()), len(a.config.Peers)) {
		a.log.Info("lease ended: its owner is lost", "repository", repository, "owner", owner)
		a.Cluster.End(repository, owner)
	}
}

// Release ends the lease of an owner that refuses the repository's writes: any gateway would be told the same.
func (a *agreement) Release(repository, owner string) {
	a.log.Info("lease ended: its owner is read-only", "repository", repository, "owner", owner)
	a.Cluster.End(repository, owner)
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
			a.tell(own)
		default:
		}
		a.seen.Store(router.NewSight(own, a.witnesses(), a.here, a.seen.Load(), time.Now()))
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
	all := viewOf(own, a.copying.audit.Surveyed)
	if len(a.leaving) > 0 {
		v := all[a.here]
		for _, f := range a.leaving {
			v.Leaving = append(v.Leaving, f.String())
		}
		all[a.here] = v
	}
	a.SetReports(all)
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

// lookAgain probes out of turn what only this gateway cannot reach: the way to it may be mended by now.
func (a *agreement) lookAgain() {
	s := a.seen.Load()
	for _, r := range s.Own.Replicas() {
		if s.Blind(r.Name) {
			a.monitor.Trouble(r.Name)
		}
	}
}

func viewOf(f *router.Fleet, surveyed func(replica string) bool) map[string]cluster.Report {
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
		if sees[replica].Surveyed {
			return true
		}
	}
	return false
}

func (a *agreement) witnesses() []router.Witness {
	views := a.FleetView()
	var all []router.Witness
	for _, m := range a.Members() {
		w := router.Witness{Here: m.Here, Sees: map[string]router.Seen{}}
		for replica, v := range views[m.Name] {
			w.Sees[replica] = router.Seen{Upstream: v.Upstream, Fronts: v.Fronts, Leaving: v.Leaving}
		}
		all = append(all, w)
	}
	return all
}

// followKeys takes over a key file that has changed: keys can be rotated without an outage.
func (a *agreement) followKeys(ctx context.Context) {
	before := a.keys
	every(ctx, keysEvery, func() {
		keys, err := a.config.Keys()
		if err == nil && slices.EqualFunc(keys, before, bytes.Equal) {
			return
		}
		if err == nil {
			err = a.SetKeys(keys)
		}
		if err != nil {
			a.log.Warn("the cluster's key file cannot be taken over; the old keys go on", "error", err)
			return
		}
		before = keys
		a.log.Info("the cluster's keys were replaced", "first", fingerprint(keys[0]), "keys", len(keys))
	})
}

// fingerprint tells keys apart and nothing of what they are.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:4])
}
