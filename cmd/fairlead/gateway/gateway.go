// Package gateway is one running `fairlead serve`: it makes all parts of what the file says, hands each what it needs
// of another, and stops them in order.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/dnsserver"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

// Gateway is one running `fairlead serve`.
type Gateway struct {
	live   live
	file   *liveFile
	shared shared

	// Static after New.
	log     *slog.Logger
	metrics *prometheus.Registry
	geo     *Geo
	monitor *health.Monitor
	writes  *health.Writes
	dns     *dnsserver.Server
	proxy   *proxy.Proxy
	ledger  *ledger.Ledger
	tls     *tls.Config // nil: clear text
	agreed  *agreement  // nil: this gateway knows no other
	copying *copying
	leaving *leaving
	sent    *upstream.Egress
	hooks   *hooks
	limiter *proxy.ConnLimiter
	memory  allotment
	open    *sockets

	upstreams   *upstream.Transports
	writeProbes *health.WriteProbes
	access      *accesslog.Log
	logins      logins // changed under live.changing

	misplaced string // why `here` is not where this gateway stands; "": nothing says so

	certificate atomic.Pointer[func() *tls.Certificate] // of the clients' listener

	drains drains
}

// New opens the listeners, then what a gateway keeps on the disk. What clients ask meanwhile waits in the kernel
// until Run, which whoever has a Gateway calls. release is the program's.
func New(ctx context.Context, c *configs.Config, release string, log *slog.Logger) (*Gateway, error) {
	open := &sockets{}
	err := open.all(ctx, c)
	var g *Gateway
	if err == nil {
		g, err = newGateway(c, open, release, log)
	}
	if err != nil {
		open.close()
		return nil, err
	}
	return g, nil
}

// newGateway makes each part once what it is handed is there: the ledger, then who tells subscribers, then the gateways
// that keep their ledgers alike, then the ways to replicas, then who copies, and last those that clients reach.
func newGateway(c *configs.Config, open *sockets, release string, log *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{log: log, open: open, metrics: prometheus.NewRegistry()}
	g.file = newLiveFile(c, g.metrics)
	var before []configs.Replica
	g.leaving, before = openLeaving(c.State, log)
	if g.ledger, err = openLedger(c, before, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	g.openShared()
	c = g.leaving.with(before, g.over(c))
	g.leaving.remember(c.Replicas)
	if err := g.ledger.Update(holders(c.Replicas)); err != nil {
		return nil, err
	}
	g.live.file.Store(c)
	g.metrics.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if g.geo, err = NewGeo(c, g.metrics); err != nil {
		return nil, err
	}
	if c.Proxy.TLS != nil {
		pair, err := keyfiles.Pair(c.Proxy.TLS.Certificate, c.Proxy.TLS.Key)
		if err != nil {
			return nil, err
		}
		g.certificate.Store(&pair)
		g.tls = clientsTLS(func() *tls.Certificate { return (*g.certificate.Load())() })
	}
	if g.monitor, err = newMonitor(c, g.metrics, log); err != nil {
		return nil, err
	}
	g.writes = health.NewWrites(writersOf(c), g.metrics, log)
	if g.hooks, err = openHooks(g.live.config, release, g.ledger, g.metrics, log); err != nil {
		return nil, err
	}
	checkpoint := audit.OpenCheckpoint(c.State, log)
	if c.Cluster != nil {
		if g.agreed, err = newAgreement(g.live.config, release, g.monitor, g.ledger, checkpoint, g.metrics, log); err != nil {
			return nil, err
		}
	}
	may, memory := g.bounds()
	if g.upstreams, err = newUpstreams(c, g.monitor, g.agreed, may); err != nil {
		return nil, err
	}
	g.writeProbes = health.NewWriteProbes(g.writes, g.metrics, log)
	g.writeProbes.Update(g.probedWriters(c), c.Health.Timeout)
	g.sent = upstream.NewEgress(c.Here, time.Now(), g.metrics)
	g.copying = newCopying(g.live.config, copyingParts{
		ledger: ledger.Current{Ledger: g.ledger, Others: g.others()}, agreed: g.agreed, fleet: g.reached(),
		upstreams: g.upstreams, checkpoint: checkpoint, egress: g.sent, leaveBegan: g.leaving.began,
	}, g.metrics, log)
	recorder := ledger.NewRecorder(ledger.RecorderOptions{
		Ledger: g.ledger, Others: g.others(), Copying: g.copying,
		Unrecorded: g.acceptsUnrecorded, Registerer: g.metrics, Log: log,
	})
	if g.access, err = accesslog.Open(accessLogOf(c), g.metrics, log); err != nil {
		return nil, fmt.Errorf("proxy.access_log: %w", err)
	}
	g.memory = memory
	g.limiter = proxy.NewConnLimiter(min(may.clients, g.memory.clients), clientShare(c), g.memory.heads, g.metrics)
	g.dns = g.newDNS(may)
	g.proxy = g.newProxy(recorder, may)
	if g.misplaced = misplaced(c, listened(c.Proxy.Listen)); g.misplaced != "" {
		log.Error("here is not where this gateway stands: " + g.misplaced)
	}
	return g, nil
}

func (g *Gateway) newDNS(may descriptors) *dnsserver.Server {
	c := g.live.config()
	return dnsserver.New(dnsserver.Config{
		Hostname: c.Hostname, MaxConns: may.dns,
		Locate: g.geo.Locate, Map: g.geo.Orders, Fleet: g.named(),
		Registerer: g.metrics, Log: g.log,
	}, namesOf(c))
}

func (g *Gateway) newProxy(recorder *ledger.Recorder, may descriptors) *proxy.Proxy {
	c := g.live.config()
	return proxy.New(proxy.Config{
		Hostname: c.Hostname, Upstreams: g.upstreams, Memory: g.memory.proxy,
		Pipes: splice.NewPool(min(may.pipes, g.memory.pipes)),
		Map:   g.geo.Orders, Fleet: g.reached(),
		Trouble: g.monitor.Trouble, OwnShortage: health.OwnShortage,
		Ledger: recorder, Agreement: g.agreement(), Writability: g.writes,
		Traffic: g.sent, Replication: clientWrites{g.copying}, Writes: g.copying.Writes, UnseenDeletes: c.Cluster == nil,
		Registerer: g.metrics, Log: g.log,
	}, g.clientSettings(c))
}

func newMonitor(c *configs.Config, reg prometheus.Registerer, log *slog.Logger) (*health.Monitor, error) {
	settings, err := healthSettings(c)
	if err != nil {
		return nil, err
	}
	return health.New(health.Config{
		Settings: settings, Here: c.Here, Down: health.LastDown(healthFile(c), time.Now()),
		Registerer: reg, Log: log,
	}), nil
}

// openLedger opens the ledger that the file gives a place, or one that ends with this process. Where that cannot be
// done now the gateway goes on without it. before are the replicas that were in force last, which its index is of; none:
// those of the file.
func openLedger(c *configs.Config, before []configs.Replica, log *slog.Logger) (*ledger.Ledger, error) {
	last := holders(before)
	if len(last) == 0 || ledger.CheckReplicas(last) != nil {
		last = holders(c.Replicas)
	}
	return ledger.Open(c.State, member(c), last, time.Now, log)
}

// holders are the replicas whose confirmations count.
func holders(replicas []configs.Replica) (out []ledger.Replica) {
	for _, r := range replicas {
		out = append(out, ledger.Replica{Name: r.Name, Incarnation: r.Incarnation()})
	}
	return out
}

// member is this gateway's name in the ledger.
func member(c *configs.Config) string {
	if c.Cluster == nil {
		return "gateway"
	}
	return c.Cluster.Name
}

// bounds are what this gateway may use of descriptors and of memory. It says so where they are short.
func (g *Gateway) bounds() (descriptors, allotment) {
	may := share(maxOpenFiles(), len(g.live.config().Replicas), len(g.live.config().DNS.Listen))
	if may.clients < maxClients {
		g.log.Warn("the limit of open files bounds the connections of clients: raise it (ulimit -n, LimitNOFILE=)",
			"limit", maxOpenFiles(), "connections", may.clients)
	}
	limit := memoryLimit()
	memory := allot(limit)
	if memory.clients < maxClients {
		g.log.Warn("memory bounds the connections of clients: allow more (GOMEMLIMIT, the container's limit)",
			"limit", limit, "connections", memory.clients, "requests", memory.proxy.Requests/proxy.RequestMemory)
	}
	return may, memory
}

// named is the fleet for DNS.
func (g *Gateway) named() func() *router.Fleet {
	if g.agreed == nil {
		return g.monitor.Fleet
	}
	return g.agreed.Agreed
}

// reached is the fleet for requests.
func (g *Gateway) reached() func() *router.Fleet {
	if g.agreed == nil {
		return g.monitor.Fleet
	}
	return g.agreed.Reach
}

// others are those that keep their ledgers as this one's, or nil.
func (g *Gateway) others() ledger.Others {
	if g.agreed == nil {
		return nil
	}
	return g.agreed.gossip
}

func (g *Gateway) agreement() proxy.Agreement {
	if g.agreed == nil {
		return nil
	}
	return g.agreed
}

// close ends what writes to the disk.
func (g *Gateway) close() error {
	if g.access != nil {
		g.access.Close()
	}
	if g.hooks == nil {
		return g.ledger.Close()
	}
	return errors.Join(g.hooks.Close(), g.ledger.Close())
}
