package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/dnsserver"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/proxy/accesslog"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// changeWays has replicas reached as the file says now.
func (g *Gateway) changeWays(c *configs.Config) (swap func(), err error) {
	s, err := waysOf(c, g.agreed)
	return func() { g.upstreams.Update(s) }, err
}

// changeClients has clients and resolvers served as the file says now.
func (g *Gateway) changeClients(c *configs.Config) (swap func(), err error) {
	reopen, err := g.access.Prepare(accessLogOf(c))
	if err != nil {
		return nil, fmt.Errorf("proxy.access_log: %w", err)
	}
	return func() {
		reopen()
		g.limiter.Update(clientShare(c))
		g.proxy.Update(g.clientSettings(c))
		g.dns.Update(namesOf(c))
		g.sent.Update(namesOfReplicas(c))
	}, nil
}

func waysOf(c *configs.Config, a *agreement) (upstream.Settings, error) {
	s := upstream.Settings{MaxManifest: c.Proxy.Limits.Manifest}
	for _, r := range c.Replicas {
		files := r.TLS()
		t, err := files.Config()
		if err != nil {
			return s, err
		}
		s.Endpoints = append(s.Endpoints, upstream.Endpoint{
			Name: r.Name, Incarnation: r.Incarnation(), URL: r.Upstream, Host: r.Host, TLS: t,
			TLSKey: fmt.Sprintf("%+v", files),
		})
	}
	if a == nil {
		return s, nil
	}
	relay, err := relayOf(c, a)
	s.Relay = relay
	return s, err
}

// relayOf is the way through another gateway's front.
func relayOf(c *configs.Config, a *agreement) (upstream.Relay, error) {
	if c.Proxy.TLS == nil {
		return upstream.Relay{Front: a.Front, Scheme: "http"}, nil
	}
	files := c.FrontTLS()
	t, err := files.Config()
	return upstream.Relay{Front: a.Front, Scheme: "https", TLS: t, TLSKey: fmt.Sprintf("%+v", files)}, err
}

// newUpstreams makes the ways to all replicas, through another gateway where this one cannot reach them itself.
func newUpstreams(c *configs.Config, m *health.Monitor, agreed *agreement, may descriptors) (*upstream.Transports,
	error) {
	s, err := waysOf(c, agreed)
	if err != nil {
		return nil, err
	}
	return upstream.New(upstream.Config{
		Hostname: c.Hostname, Alive: m.Alive,
		Dial: upstream.DialTimeout, Patience: limits(c.Proxy.Limits).Alone,
		MaxConns: may.toReplica, MaxIdleConns: may.idleReplica,
	}, s), nil
}

// clientSettings are made once the ways are there.
func (g *Gateway) clientSettings(c *configs.Config) proxy.Settings {
	s := proxy.Settings{
		Here: c.Here, Paths: c.Proxy.Paths, TrustedProxies: c.Proxy.TrustedProxies,
		LeaseIdle: c.Lease.Idle, OwnerHome: c.Lease.Owner == configs.OwnerHome,
		Limits: limits(c.Proxy.Limits), MaxManifest: c.Proxy.Limits.Manifest,
		ClientShare: clientShare(c), Hashing: float64(c.Proxy.Limits.Hashing) / 100,
		Own: g.logins.of(c, g.upstreams), Registries: map[string]proxy.Registry{},
	}
	for _, r := range c.Replicas {
		s.Registries[r.Name] = proxy.Registry{Incarnation: r.Incarnation(),
			Drains: r.State == configs.StateDrain || r.State == configs.StateLeaving}
	}
	if c.Proxy.AccessLog != "" {
		s.AccessLog = g.access.Add
	}
	return s
}

// logins are how this gateway logs in at replicas itself, for what clients ask. Those that did not change go on: they
// have tokens.
type logins struct {
	key string
	now map[string]transfer.Replica
}

func (l *logins) of(c *configs.Config, u *upstream.Transports) map[string]transfer.Replica {
	var key strings.Builder
	for _, r := range c.Replicas {
		fmt.Fprintf(&key, "%q %s %q %q\n", r.Name, r.Incarnation(), r.Host, r.Credentials)
	}
	if l.key != key.String() {
		l.key, l.now = key.String(), ownLogins(c, u)
	}
	return l.now
}

func namesOf(c *configs.Config) dnsserver.Settings {
	return dnsserver.Settings{Nameservers: c.DNS.Nameservers, TTL: c.DNS.TTL}
}

func namesOfReplicas(c *configs.Config) (names []string) {
	for _, r := range c.Replicas {
		names = append(names, r.Name)
	}
	return names
}

// accessLogOf is the access log's name for the log itself; "": there is none.
func accessLogOf(c *configs.Config) string {
	if c.Proxy.AccessLog == configs.AccessLogStdout {
		return accesslog.Stdout
	}
	return c.Proxy.AccessLog
}

// acceptsUnrecorded reports whether a push that cannot be recorded is accepted all the same.
func (g *Gateway) acceptsUnrecorded() bool {
	return g.live.config().Replication.Unrecorded == configs.UnrecordedAccept
}

func (g *Gateway) trustedProxies() []netip.Prefix { return g.live.config().Proxy.TrustedProxies }

func (g *Gateway) silence() time.Duration { return g.live.config().Proxy.Limits.Silence }
