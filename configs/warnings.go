package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Warnings tells what is allowed and may still surprise: it goes to the log at start and to `fairlead check`.
func (c *Config) Warnings() []Problem {
	var w Problems
	warn := func(field, format string, args ...any) {
		w = append(w, Problem{File: c.File, Line: lineOf(c.written, field), Field: field, Rule: fmt.Sprintf(format, args...)})
	}
	c.warnDNS(warn)
	c.warnProxy(warn)
	if c.leaf != nil {
		for _, what := range certificateWarnings(c.leaf, c.Hostname, c.Replicas, time.Now()) {
			warn("proxy.tls.certificate", "%s", what)
		}
	}
	c.warnPlaces(warn)
	c.warnReplicas(warn)
	if c.Health.Fronts && 2*c.Health.Timeout > c.Health.Interval {
		warn("health.interval", "is shorter than a front's and an upstream's timeout together: a silent replica is probed less often than that")
	}
	if c.State == "" {
		warn("state", "is empty: a restart loses the record of pushes and deletions, webhooks made by command, and what was not yet delivered")
	}
	return w.byLine()
}

type warner func(field, format string, args ...any)

func (c *Config) warnDNS(warn warner) {
	if len(c.DNS.Nameservers) == 0 {
		warn("dns.nameservers", "is empty: there are no NS records, which checks of the delegation will report")
	}
}

func (c *Config) warnProxy(warn warner) {
	if c.Proxy.TLS == nil && slices.ContainsFunc(c.Proxy.Listen, beyondLoopback) {
		warn("proxy.tls", "is left out: clients' credentials travel in clear text")
	}
	for i, p := range c.Proxy.TrustedProxies {
		if p.Bits() == 0 {
			warn(item("proxy.trusted_proxies", i), "believes everybody: any client can say it is anywhere")
		}
	}
}

func beyondLoopback(address string) bool {
	host, _ := hostPort(address)
	return !host.IsLoopback()
}

func (c *Config) warnPlaces(warn warner) {
	if missing := c.privateUnplaced(); len(missing) > 0 {
		warn("geo.networks", "places nothing in %s, which no database knows: clients there count as being at home", strings.Join(missing, ", "))
	}
}

// privateUnplaced lists the private ranges that clients may have and no network places: of IPv6 only where a
// replica has such an address, and none for a file that stays on loopback.
func (c *Config) privateUnplaced() []string {
	var missing []string
	for _, s := range []string{"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		private := netip.MustParsePrefix(s) // RFC 1918, RFC 6598, RFC 4193
		reachable := slices.ContainsFunc(c.Replicas, func(r Replica) bool {
			return slices.ContainsFunc(r.Addresses, func(a netip.Addr) bool {
				return a.Is4() == private.Addr().Is4() && !a.IsLoopback()
			})
		})
		placed := slices.ContainsFunc(c.Geo.Networks, func(n Network) bool { return n.Network.Overlaps(private) })
		if reachable && !placed {
			missing = append(missing, s)
		}
	}
	return missing
}

func (c *Config) warnReplicas(warn warner) {
	c.warnFamily(warn, "IPv4", netip.Addr.Is4)
	c.warnFamily(warn, "IPv6", netip.Addr.Is6)
	writable := func(r Replica) bool { return r.Write && r.State == StateOnline }
	if !slices.ContainsFunc(c.Replicas, writable) {
		warn("replicas", "none is both online and writable: no push can start")
		return
	}
	home := slices.IndexFunc(c.Replicas, func(r Replica) bool { return r.Home })
	if c.Lease.Owner == OwnerHome && home >= 0 && !writable(c.Replicas[home]) {
		warn("lease.owner", "is home, and the home replica takes no new writes: they go to the next")
	}
}

// warnFamily names the replicas without an address of a family that others have. DNS answers with one replica's
// addresses, so that a client with that family alone finds none when it is sent there.
func (c *Config) warnFamily(warn warner, family string, in func(netip.Addr) bool) {
	has := func(r Replica) bool { return slices.ContainsFunc(r.Addresses, in) }
	if !slices.ContainsFunc(c.Replicas, has) {
		return
	}
	for i, r := range c.Replicas {
		if !has(r) {
			warn(item("replicas", i)+".addresses", "has no %s address and other replicas do: a client with %s alone may be sent where it cannot connect", family, family)
		}
	}
}
