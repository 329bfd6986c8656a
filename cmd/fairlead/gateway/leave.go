package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
)

// What a stop takes, together no more than the 90 s after which systemd kills.
const (
	// mostLeave bounds how long new clients are served that DNS still sends here.
	mostLeave = 25 * time.Second
	// noticed is until gateways that are only probed by each other have seen that this one leaves (Thresholds.Down).
	noticed = 10 * time.Second
	// drainTime is how long requests under way may take then. Container runtimes kill after 30 s
	// unless told otherwise; a layer takes longer than that often enough to be worth telling.
	drainTime = time.Minute
	// lastRequests: net/http drops what it reads once it stops. What clients have already sent is still answered
	// first, and they are told that the connection ends. So is whoever has connected, and was not yet accepted.
	lastRequests = time.Second
)

// leave is what a stop begins with: the gateway drains, and serves until what DNS has said before is forgotten. Where
// nobody else could take the clients it returns at once.
func (g *Gateway) leave(ctx context.Context) {
	d, err := g.drains.begin(g, true)
	switch {
	case err != nil:
		g.log.Info("stopping: " + err.Error())
		return
	case len(d.fronts) == 0 || d.shared:
		return
	}
	wait := min(g.forgotten(), mostLeave) - time.Since(d.since)
	if wait <= 0 {
		return
	}
	g.log.Info("stopping: clients are served until DNS no longer sends them here", "for", wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// forgotten is how long after this gateway's word no resolver has what DNS has said before: others hear of it at once,
// or by their probes.
func (g *Gateway) forgotten() time.Duration {
	if g.agreed != nil {
		return g.live.config().DNS.TTL + time.Second
	}
	return g.live.config().DNS.TTL + noticed
}

// shares: another gateway stands behind the region's only address, too. Whoever hands out connections there sees for
// itself who is gone.
func (g *Gateway) shares(fronts []netip.Addr) bool {
	if g.agreed == nil || len(fronts) != 1 {
		return false
	}
	return slices.ContainsFunc(g.agreed.Members(), func(m cluster.Member) bool {
		return m.Here == g.live.config().Here && m.Name != g.live.config().Cluster.Name
	})
}

// othersServe: some other front is there for clients, of another region or of this one.
func (g *Gateway) othersServe(fronts []netip.Addr) bool {
	fleet := g.monitor.Fleet()
	if g.agreed != nil {
		fleet = g.agreed.Agreed()
	}
	return fleet.ServedBeside(g.live.config().Here, fronts)
}

func (g *Gateway) finish(clients *http.Server, doors []net.Listener) {
	g.log.Info("stopping: requests under way may finish", "for", drainTime)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, door := range doors {
		for end := time.Now().Add(lastRequests); queued(door) > 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		_ = door.Close()
	}
	time.Sleep(lastRequests)
	if err := clients.Shutdown(ctx); err != nil {
		g.log.Warn("requests were cut off", "error", err)
	}
}

// serveClient tells clients of a gateway that drains to come by another connection, and other gateways' probes what
// they would not see: that it drains, or that it serves another name.
func (g *Gateway) serveClient(w http.ResponseWriter, r *http.Request) {
	drained := g.drains.state()
	if drained != nil {
		w.Header().Set("Connection", "close")
	}
	switch probe := r.UserAgent() == health.UserAgent; {
	case probe && drained != nil && !drained.shared:
		http.Error(w, "this gateway drains, and is about to stop", http.StatusServiceUnavailable)
	// A trusted proxy may write another host.
	case probe && len(g.live.config().Proxy.TrustedProxies) == 0 && !serves(r.Host, g.live.config().Hostname):
		http.Error(w, "this gateway serves "+g.live.config().Hostname, http.StatusMisdirectedRequest)
	default:
		g.proxy.ServeHTTP(w, r)
	}
}

// serves: a host is the hostname, or a name below it.
func serves(host, hostname string) bool {
	name := strings.ToLower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
	return name == hostname || strings.HasSuffix(name, "."+hostname)
}

// misplaced is why a gateway does not stand where `here` says: this machine has an address of another region and none
// of that one. "" is no proof: behind a NAT it has neither.
func misplaced(c *configs.Config, own []netip.Addr) string {
	if c.Here == "" {
		return ""
	}
	elsewhere := ""
	for _, r := range c.Replicas {
		for _, a := range r.Addresses {
			switch {
			case !slices.Contains(own, a.Unmap()):
			case r.Name == c.Here:
				return ""
			default:
				elsewhere = fmt.Sprintf("this machine has %v, which is %s's, and no address of %s", a, r.Name, c.Here)
			}
		}
	}
	return elsewhere
}

// ownFronts are the addresses by which DNS sends clients to this very gateway, as far as it can know: its region's
// only one, or those that it listens on.
func ownFronts(c *configs.Config) []netip.Addr {
	i := slices.IndexFunc(c.Replicas, func(r configs.Replica) bool { return r.Name == c.Here })
	if i < 0 {
		return nil
	}
	all := c.Replicas[i].Addresses
	if len(all) == 1 {
		return all
	}
	own := listened(c.Proxy.Listen)
	return slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return !slices.Contains(own, a.Unmap()) })
}

// listened are the addresses of listeners; those of all interfaces for one without.
func listened(listeners []string) (own []netip.Addr) {
	for _, l := range listeners {
		host, _, _ := net.SplitHostPort(l)
		if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
			own = append(own, a.Unmap())
			continue
		}
		of, _ := net.InterfaceAddrs()
		for _, a := range of {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				own = append(own, p.Addr().Unmap())
			}
		}
	}
	return own
}
