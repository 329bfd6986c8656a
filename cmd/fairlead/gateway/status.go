package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/router"
)

func (g *Gateway) adminHandler() http.Handler {
	return admin.New(admin.Config{
		Gatherer: g.metrics, Ready: g.checks, Fleet: g.fleet, Leases: g.leases, Lease: g.lease, Cluster: g.members,
		Egress: g.egress, Damaged: g.damaged,
		Image: g.image, Changed: g.ledger.Changed,
		Replication: g.replicationStatus, Failures: g.failures, Retry: g.retry, Conflicts: g.conflicts,
		Drained: g.drained, Drain: g.drain,
		Audit: g.audit, AskAudit: g.askAudit, Webhooks: webhookAPI{g.hooks.Service},
		Configs:      admin.Configs{InForce: g.inForce, Reload: g.Reload, Compare: g.compare},
		Replications: regionalAPI{g}, Log: g.log,
	})
}

func (g *Gateway) checks() []admin.Check {
	probed, stopping := admin.Check{Name: "every target probed once"}, admin.Check{Name: "not stopping",
		Stopping: true}
	select {
	case <-g.monitor.Ready():
	default:
		probed.Problem = "not yet"
	}
	if g.drains.state() != nil {
		stopping.Problem = "it drains: no new client should come"
	}
	checks := []admin.Check{probed, stopping, {Name: "here is where this gateway stands", Note: g.misplaced},
		g.file.fileCheck(), g.sharedCheck(), g.geo.check(), g.certificates()}
	if g.agreed != nil {
		checks = append(checks, g.agreed.joined(), g.agreed.fitting(), g.agreed.alike())
	}
	return checks
}

func (g *Gateway) fleet() admin.Fleet {
	out := admin.Fleet{Hostname: g.live.config().Hostname, Here: g.live.config().Here, Gateway: ownAddress(g.live.config()),
		Draining: g.drains.state() != nil,
		Replicas: []admin.Replica{}}
	probes := map[string][]admin.Probe{}
	for _, s := range g.monitor.Status() {
		p := admin.Probe{Target: "upstream", URL: s.URL, Up: s.Up, Slow: s.Slow, Known: s.Known, Result: s.Result,
			Probed: s.Probed, Since: s.Since, Ends: s.Ends}
		if s.Front.IsValid() {
			p.Target, p.URL = "front", fmt.Sprintf("%s at %s", s.URL, s.Front)
		}
		probes[s.Replica] = append(probes[s.Replica], p)
	}
	urls := map[string]string{}
	for _, r := range g.live.config().Replicas {
		urls[r.Name] = r.Upstream.String()
	}
	failing := g.writeFailing()
	for _, r := range g.monitor.Fleet().Replicas() {
		shown := admin.Replica{
			Name: r.Name, Home: r.Home, Lat: r.Point.Lat, Lon: r.Point.Lon, Country: r.Country, BiasMS: r.Bias,
			State: string(r.Operator), Write: r.Writable, Up: r.Upstream.Up, Fronts: []admin.Front{},
			Probes: probes[r.Name], Upstream: urls[r.Name], WriteFailing: failing(r.Name),
		}
		if reached := g.reached()().Replica(r.Name); reached != nil {
			shown.Unshared = reached.Unshared
		}
		if r.Operator == router.Drain || r.Operator == router.Leaving {
			leases, uploads := g.proxy.Left(r.Name)
			shown.PushesLeft = new(leases + uploads)
		}
		for _, f := range r.Fronts {
			shown.Fronts = append(shown.Fronts, admin.Front{Address: f.Addr.String(), Up: f.Health.Up})
		}
		out.Replicas = append(out.Replicas, shown)
	}
	return out
}

func (g *Gateway) damaged() []admin.Damaged {
	out := []admin.Damaged{}
	for _, d := range g.proxy.Damaged() {
		out = append(out, admin.Damaged(d))
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
	out.Name = g.live.config().Cluster.Name
	for _, m := range g.agreed.Members() {
		shown := admin.Member(m)
		if shown.Differs == nil {
			shown.Differs = []string{}
		}
		out.Members = append(out.Members, shown)
	}
	return out
}
