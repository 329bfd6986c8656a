// Package gateway is one running `fairlead serve`: it makes all parts of what the file says, hands each what it needs
// of another, and stops them in order.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/dnsserver"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// Gateway is one running `fairlead serve`.
type Gateway struct {
	// Static after New.
	config  *configs.Config
	log     *slog.Logger
	metrics *prometheus.Registry
	geo     *Geo
	monitor *health.Monitor
	dns     *dnsserver.Server
	proxy   *proxy.Proxy
	ledger  *ledger.Ledger
	tls     *tls.Config // nil: clear text
	agreed  *agreement  // nil: this gateway knows no other
	copying *copying
	sent    *upstream.Egress
	hooks   *hooks
	limiter *proxy.ConnLimiter
	memory  allotment
	open    *sockets

	upstreams *upstream.Transports

	misplaced string // why `here` is not where this gateway stands; "": nothing says so

	draining atomic.Bool
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

// newGateway makes each part once what it is handed is there: the ledger, then the gateways that keep theirs alike,
// then the ways to replicas, then who copies, then who tells, and last those that clients reach.
func newGateway(c *configs.Config, open *sockets, release string, log *slog.Logger) (_ *Gateway, err error) {
	g := &Gateway{config: c, log: log, open: open, metrics: prometheus.NewRegistry()}
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
		g.tls = clientsTLS(pair)
	}
	if g.monitor, err = newMonitor(c, g.metrics, log); err != nil {
		return nil, err
	}
	if g.ledger, err = openLedger(c, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if g.hooks, err = openHooks(c, release, g.ledger, g.metrics, log); err != nil {
		return nil, err
	}
	checkpoint := audit.OpenCheckpoint(c.State, log)
	if c.Cluster != nil {
		if g.agreed, err = newAgreement(c, release, g.monitor, g.ledger, checkpoint, g.metrics, log); err != nil {
			return nil, err
		}
	}
	may, memory := g.bounds()
	if g.upstreams, err = newUpstreams(c, g.monitor, g.agreed, may); err != nil {
		return nil, err
	}
	g.sent = upstream.NewEgress(c.Here, time.Now(), g.metrics)
	g.copying = newCopying(c, copyingParts{
		ledger: ledger.Current{Ledger: g.ledger, Others: g.others()}, agreed: g.agreed, fleet: g.reached(),
		upstreams: g.upstreams, checkpoint: checkpoint, egress: g.sent,
	}, g.metrics, log)
	recorder := ledger.NewRecorder(ledger.RecorderOptions{
		Ledger: g.ledger, Others: g.others(), Copying: g.copying,
		Unrecorded: c.Replication.Unrecorded == configs.UnrecordedAccept, Registerer: g.metrics, Log: log,
	})
	g.memory = memory
	g.limiter = proxy.NewConnLimiter(min(may.clients, g.memory.clients), g.metrics)
	g.dns = dnsserver.New(dnsserver.Config{
		Hostname: c.Hostname, Nameservers: c.DNS.Nameservers, TTL: c.DNS.TTL, MaxConns: may.dns,
		Locate: g.geo.Locate, Map: g.geo.Orders, Fleet: g.named(),
		Registerer: g.metrics, Log: log,
	})
	g.proxy = proxy.New(proxy.Config{
		Hostname: c.Hostname, Here: c.Here, Upstreams: g.upstreams,
		Paths: c.Proxy.Paths, TrustedProxies: c.Proxy.TrustedProxies,
		LeaseIdle: c.Lease.Idle, OwnerHome: c.Lease.Owner == configs.OwnerHome,
		Limits: limits(c.Proxy.Limits), MaxManifest: c.Proxy.Limits.Manifest, Memory: g.memory.proxy,
		Map: g.geo.Orders, Fleet: g.reached(),
		Trouble: g.monitor.Trouble, OwnShortage: health.OwnShortage,
		Ledger: recorder, Agreement: g.agreement(),
		Traffic: g.sent, Replication: clientWrites{g.copying}, Writes: g.copying.Writes, Unheard: c.Cluster == nil,
		Registerer: g.metrics, Log: log,
	})
	if g.misplaced = misplaced(c, listened(c.Proxy.Listen)); g.misplaced != "" {
		log.Error("here is not where this gateway stands: " + g.misplaced)
	}
	return g, nil
}

func newMonitor(c *configs.Config, reg prometheus.Registerer, log *slog.Logger) (*health.Monitor, error) {
	probed, err := targets(c)
	if err != nil {
		return nil, err
	}
	return health.New(health.Config{
		Replicas: Replicas(c), Targets: probed, Here: c.Here, Down: health.LastDown(healthFile(c), time.Now()),
		Interval: c.Health.Interval, Timeout: c.Health.Timeout,
		Registerer: reg, Log: log,
	}), nil
}

// openLedger opens the ledger that the file gives a place, or one that ends with this process. Where that cannot be
// done now the gateway goes on without it.
func openLedger(c *configs.Config, log *slog.Logger) (*ledger.Ledger, error) {
	var names []string
	for _, r := range c.Replicas {
		names = append(names, r.Name)
	}
	return ledger.Open(c.State, member(c), names, time.Now, log)
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
	may := share(maxOpenFiles(), len(g.config.Replicas), len(g.config.DNS.Listen))
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
	if g.hooks == nil {
		return g.ledger.Close()
	}
	return errors.Join(g.hooks.Close(), g.ledger.Close())
}

// Run serves until ctx ends. Then the gateway takes its leave: DNS and the admin listener go on until requests under
// way have finished. Run returns when all has stopped, and is called once.
func (g *Gateway) Run(ctx context.Context) error {
	defer func() {
		if err := g.close(); err != nil {
			g.log.Error("the ledger or the queue of webhooks was not closed: what was written last may be lost", "error", err)
		}
	}()
	open := g.open
	defer open.close()
	// What must outlive the drain runs under serving, which ends when draining has.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	all, failed := errgroup.WithContext(serving)
	all.Go(func() error { g.monitor.Run(failed); return nil })
	all.Go(func() error { g.monitor.Remember(failed, healthFile(g.config)); return nil })
	if g.agreed != nil {
		all.Go(func() error { return g.agreed.run(failed) })
	}
	all.Go(func() error { return g.copying.run(failed, g.monitor.Ready()) })
	all.Go(func() error { g.hooks.run(failed); return nil })
	all.Go(func() error { return g.geo.run(failed, g.log) })
	// DNS ends after all else: who asks a nameserver that is gone waits for seconds.
	answering, silence := context.WithCancel(context.WithoutCancel(ctx))
	defer silence()
	names, unanswered := errgroup.WithContext(answering)
	for _, conn := range open.udp {
		names.Go(func() error { return g.dns.ServeUDP(unanswered, conn) })
	}
	for _, l := range open.tcp {
		names.Go(func() error { return g.dns.ServeTCP(unanswered, l) })
	}
	all.Go(func() error {
		select {
		case <-unanswered.Done():
			return context.Cause(unanswered)
		case <-failed.Done():
			return nil
		}
	})
	clients := proxy.NewServer(http.HandlerFunc(g.serveClient), g.tls, g.limiter, g.memory.proxy, g.log)
	var doors []net.Listener
	for _, l := range open.proxy {
		doors = append(doors, l)
		bounded := proxy.Listener(l, g.limiter, g.config.Proxy.TrustedProxies)
		all.Go(func() error { return g.serveHTTP(clients, bounded) })
	}
	operators := &http.Server{
		Handler:           g.adminHandler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	all.Go(func() error { return served(operators.Serve(open.admin)) })
	all.Go(func() error {
		select {
		case <-ctx.Done():
			g.leave(failed)
			g.drain(clients, doors)
		case <-failed.Done():
		}
		_ = clients.Close()
		_ = operators.Close()
		g.proxy.Close()
		g.upstreams.Close()
		stop()
		return nil
	})
	err := all.Wait()
	silence()
	return errors.Join(err, names.Wait())
}

func (g *Gateway) serveHTTP(s *http.Server, l net.Listener) error {
	if g.tls != nil {
		return served(s.ServeTLS(l, "", ""))
	}
	return served(s.Serve(l))
}

func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (g *Gateway) adminHandler() http.Handler {
	return admin.New(admin.Config{
		Gatherer: g.metrics, Ready: g.checks, Fleet: g.fleet, Leases: g.leases, Lease: g.lease, Cluster: g.members,
		Egress: g.egress,
		Image:  g.image, Changed: g.ledger.Changed,
		Replication: g.replicationStatus, Failures: g.failures, Retry: g.retry, Conflicts: g.conflicts,
		Audit: g.audit, AskAudit: g.askAudit, Webhooks: webhookAPI{g.hooks.Service}, Log: g.log,
	})
}

func (g *Gateway) checks() []admin.Check {
	probed, stopping := admin.Check{Name: "every target probed once"}, admin.Check{Name: "not stopping"}
	select {
	case <-g.monitor.Ready():
	default:
		probed.Problem = "not yet"
	}
	if g.draining.Load() {
		stopping.Problem = "it takes its leave: no new client should come"
	}
	checks := []admin.Check{probed, stopping, {Name: "here is where this gateway stands", Note: g.misplaced}}
	if g.agreed != nil {
		checks = append(checks, g.agreed.joined(), g.agreed.fitting())
	}
	return checks
}

func (g *Gateway) fleet() admin.Fleet {
	out := admin.Fleet{Hostname: g.config.Hostname, Here: g.config.Here, Gateway: ownAddress(g.config),
		Replicas: []admin.Replica{}}
	probes := map[string][]admin.Probe{}
	for _, s := range g.monitor.Status() {
		p := admin.Probe{Target: "upstream", URL: s.URL, Up: s.Up, Known: s.Known, Result: s.Result, Probed: s.Probed,
			Since: s.Since}
		if s.Front.IsValid() {
			p.Target, p.URL = "front", fmt.Sprintf("%s at %s", s.URL, s.Front)
		}
		probes[s.Replica] = append(probes[s.Replica], p)
	}
	urls := map[string]string{}
	for _, r := range g.config.Replicas {
		urls[r.Name] = r.Upstream.String()
	}
	for _, r := range g.monitor.Fleet().Replicas() {
		shown := admin.Replica{
			Name: r.Name, Home: r.Home, Lat: r.Point.Lat, Lon: r.Point.Lon, Country: r.Country, BiasMS: r.Bias,
			State: string(r.Operator), Write: r.Writable, Up: r.Upstream.Up, Fronts: []admin.Front{},
			Probes: probes[r.Name], Upstream: urls[r.Name],
		}
		for _, f := range r.Fronts {
			shown.Fronts = append(shown.Fronts, admin.Front{Address: f.Addr.String(), Up: f.Health.Up})
		}
		out.Replicas = append(out.Replicas, shown)
	}
	return out
}

// ownAddress is the clients' listener as a URL for programs on this machine.
func ownAddress(c *configs.Config) string {
	scheme := "http"
	if c.Proxy.TLS != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(c.Proxy.Listen[0])
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (g *Gateway) members() admin.Cluster {
	out := admin.Cluster{Members: []admin.Member{}}
	if g.agreed == nil {
		return out
	}
	out.Name = g.config.Cluster.Name
	for _, m := range g.agreed.Members() {
		out.Members = append(out.Members, admin.Member(m))
	}
	return out
}
