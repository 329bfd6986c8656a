package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// Warnings tells what is allowed and may still surprise: it goes to the log at start and to `fairlead check`.
func (c *Config) Warnings() []Problem {
	var w Problems
	warn := func(when bool, field, rule string) {
		if when {
			p := placeOf(c.written, field, c.File)
			p.Rule = rule
			w = append(w, p)
		}
	}
	warn(len(c.DNS.Nameservers) == 0, "dns.nameservers",
		"is empty: there are no NS records, which checks of the delegation will report")
	warn(c.Proxy.TLS == nil && slices.ContainsFunc(c.Proxy.Listen, beyondLoopback), "proxy.tls",
		"is left out: clients' credentials travel in clear text")
	for i, p := range c.Proxy.TrustedProxies {
		warn(p.Bits() == 0, item("proxy.trusted_proxies", i), "believes everybody: any client can say it is anywhere")
	}
	for _, what := range c.certificateWarnings() {
		warn(true, "proxy.tls.certificate", what)
	}
	unplaced := c.privateUnplaced()
	warn(len(unplaced) > 0, "geo.networks", fmt.Sprintf(
		"places nothing in %s, which no database knows: clients there count as being at home",
		strings.Join(unplaced, ", ")))
	c.warnFamily(warn, "IPv4", netip.Addr.Is4)
	c.warnFamily(warn, "IPv6", netip.Addr.Is6)
	writable := func(r Replica) bool { return r.Write && r.State == StateOnline }
	home := slices.IndexFunc(c.Replicas, func(r Replica) bool { return r.Home })
	if !slices.ContainsFunc(c.Replicas, writable) {
		warn(true, "replicas", "none is both online and writable: no push can start")
	} else {
		warn(c.Lease.Owner == OwnerHome && home >= 0 && !writable(c.Replicas[home]), "lease.owner",
			"is home, and the home replica takes no new writes: they go to the next")
	}
	warn(c.Health.Fronts && 2*c.Health.Timeout > c.Health.Interval, "health.interval",
		"is shorter than a front's and an upstream's timeout together: a silent replica is probed less often than that")
	warn(c.State == "", "state",
		"is empty: a restart loses the ledger of pushes and deletions, webhooks made by command, and "+
			"what was not yet delivered")
	return w.byLine(c.File)
}

// certificateWarnings keep nobody from starting: the certificate may be renewed while the gateway runs, and some
// clients are told not to verify it.
func (c *Config) certificateWarnings() []string {
	if c.leaf == nil {
		return nil
	}
	var names []string
	for _, r := range c.Replicas {
		names = append(names, r.Name+"."+c.Hostname)
	}
	return keyfiles.Warnings(c.leaf, c.Hostname, names, time.Now())
}

func beyondLoopback(address string) bool {
	host, _ := hostPort(address)
	return !host.IsLoopback()
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

// warnFamily names the replicas without an address of a family that others have. DNS answers with one replica's
// addresses, so that a client with that family alone finds none when it is sent there.
func (c *Config) warnFamily(warn func(when bool, field, rule string), family string, in func(netip.Addr) bool) {
	has := func(r Replica) bool { return slices.ContainsFunc(r.Addresses, in) }
	some := slices.ContainsFunc(c.Replicas, has)
	for i, r := range c.Replicas {
		warn(some && !has(r), item("replicas", i)+".addresses", fmt.Sprintf(
			"has no %s address and other replicas do: a client with %s alone may be sent where it cannot connect",
			family,
			family))
	}
}
