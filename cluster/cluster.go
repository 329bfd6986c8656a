// Package cluster is what gateways tell each other: which replica owns which repository's writes, who sees which
// replica up, and who is there. Every member has a copy of everything, and none ever waits for a quorum.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	leaveTimeout = time.Second
	maxJoins     = 8 // exchanges of state that we begin at a time
)

// Cluster is this gateway's membership.
type Cluster struct {
	// Static after New.
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	boot      string // tells this process from its predecessor under the same name
	started   time.Time
	metrics   *metrics
	table     *table
	reports   *memberReports
	members   *members
	misfits   *misfits
	files     *files
	guard     *guard
	repairs   *repairs
	questions *questions
	spreads   *spreads
	notes     *noteHandlers
	keyring   *memberlist.Keyring // nil: in clear text
	joins     chan struct{}
	reliable  chan largeMessage
	tried     chan struct{}
	updated   chan struct{} // holds at most one: the settings are others

	settings atomic.Pointer[Settings]
	draining atomic.Bool

	keysMu sync.Mutex // serializes SetKeys

	node atomic.Pointer[memberlist.Memberlist] // nil until it has been made: messages may come before
}

// outside is what tests replace.
type outside struct {
	now  func() time.Time
	wrap func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport
}

// New opens the sockets. The caller calls Run once, which closes them.
func New(cfg Config) (*Cluster, error) {
	return newCluster(cfg, outside{time.Now, func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
		return t
	}})
}

func newCluster(cfg Config, out outside) (*Cluster, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, log: cfg.Log, now: out.now, boot: newBoot(), started: time.Now(),
		table:   newTable(cfg.Name, cfg.Idle),
		reports: &memberReports{byMember: map[string]memberReport{}},
		members: newMembers(cfg.Name), guard: &guard{seen: map[string]running{}}, repairs: newRepairs(),
		notes:     &noteHandlers{of: map[NoteKind]func(string, []byte){}},
		questions: newQuestions(), spreads: newSpreads(),
		joins: make(chan struct{}, maxJoins), reliable: make(chan largeMessage, maxLarge),
		tried: make(chan struct{}), updated: make(chan struct{}, 1), files: newFiles(),
	}
	c.settings.Store(&cfg.Settings)
	c.files.setOwn(cfg.Shared)
	c.metrics = newMetrics(cfg.Registerer,
		func() float64 { return float64(len(c.members.names())) },
		func() float64 { return float64(c.table.count()) },
		func() float64 { return float64(c.repairs.lasting(c.members.names())) })
	cfg.Registerer.MustRegister(differingKeys{c})
	c.misfits = &misfits{log: c.log, count: c.metrics.misfits, now: c.now, seen: map[string]misfit{}}
	if len(cfg.Keys) > 0 {
		ring, err := memberlist.NewKeyring(cfg.Keys, cfg.Keys[0])
		if err != nil {
			return nil, fmt.Errorf("cluster key: %w", err)
		}
		c.keyring = ring
	}
	if err := c.open(out); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cluster) open(out outside) error {
	listen, port, err := c.cfg.listen()
	if err != nil {
		return err
	}
	advertise, err := c.cfg.advertise(listen)
	if err != nil {
		return err
	}
	t, err := newTransport(listen, port, debugWriter{c.log, c.misfits})
	if err != nil {
		return err
	}
	conf := c.memberlistConfig(out.wrap(t), netip.AddrPortFrom(advertise, uint16(t.GetAutoBindPort())))
	node, err := memberlist.Create(conf)
	if err != nil {
		_ = t.Shutdown()
		return fmt.Errorf("cluster: %w", err)
	}
	c.node.Store(node)
	return nil
}

func (c *Cluster) memberlistConfig(t memberlist.Transport, advertise netip.AddrPort) *memberlist.Config {
	conf := tuned(debugWriter{c.log, c.misfits})
	conf.Name = c.cfg.Name
	conf.Transport = t
	conf.AdvertiseAddr, conf.AdvertisePort = advertise.Addr().String(), int(advertise.Port())
	conf.BindPort = int(advertise.Port())
	conf.Keyring = c.keyring
	conf.Delegate = delegate{c}
	conf.Events = events{c}
	conf.Conflict = &conflicts{c: c}
	return conf
}

func newBoot() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (c *Cluster) list() *memberlist.Memberlist { return c.node.Load() }

// Address is where others reach us.
func (c *Cluster) Address() string {
	n := c.list().LocalNode()
	return net.JoinHostPort(n.Addr.String(), fmt.Sprint(n.Port))
}

// Tried is closed when each peer has been tried once, which takes some seconds where one does not answer. Before that a
// gateway that has just started may not know of a lease, and would grant it anew: who can wait before serving clients
// had better.
func (c *Cluster) Tried() <-chan struct{} { return c.tried }

// Run joins the peers, stays joined until ctx ends, then says goodbye, which takes a second at most when nobody
// answers. Afterwards Accept and Owner still work, alone.
func (c *Cluster) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.keepPeers(ctx) })
	wg.Go(func() { c.rejoinLost(ctx) })
	wg.Go(func() { c.compare(ctx) })
	wg.Go(func() { c.deliver(ctx) })
	<-ctx.Done()
	if err := c.list().Leave(leaveTimeout); err != nil {
		c.log.Debug("left the cluster without anybody noticing", "error", err)
	}
	c.questions.close()
	c.spreads.close()
	err := c.list().Shutdown()
	wg.Wait()
	c.questions.drain()
	c.spreads.wg.Wait()
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}
