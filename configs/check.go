package configs

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

const (
	maxListen      = 64
	maxNameservers = 13  // as many as the root has: with glue they fit a UDP answer
	maxAddresses   = 16  // of a replica: more do not fit a UDP answer beside the rest
	maxReplicas    = 256 // of a file
	maxPaths       = 64
	maxFilters     = 256
	maxPatterns    = 256
	maxBandwidth   = 1 << 40 // bytes per second
	maxConcurrency = 64
)

// check holds the rules that look at more than one field.
func (d *decoder) check(c *Config) {
	d.required("", "hostname", "replicas")
	d.checkCounts(c)
	if c.DNS.TTL%time.Second != 0 {
		d.problem("dns.ttl", ruleWholeSeconds)
	}
	d.checkNameservers(c)
	d.checkListeners(c)
	d.checkProxy(c)
	d.checkNetworks(c.Geo.Networks)
	d.checkHealth(c.Health)
	d.checkReplicas(c)
	d.checkCluster(c.Cluster)
	d.checkFilters(c)
	d.checkWebhooks(c)
	d.checkTrust("webhooks_ca", c.WebhooksCA)
	d.checkReplicaName(c, "here", c.Here)
}

// required reports keys that were left out of the mapping at path.
func (d *decoder) required(path string, keys ...string) {
	for _, key := range keys {
		if _, ok := d.written[join(path, key)]; !ok {
			d.problem(join(path, key), ruleMissing)
		}
	}
}

func (d *decoder) checkCounts(c *Config) {
	d.count("dns.listen", len(c.DNS.Listen), 1, maxListen)
	d.count("dns.nameservers", len(c.DNS.Nameservers), 0, maxNameservers)
	d.count("proxy.listen", len(c.Proxy.Listen), 1, maxListen)
	d.count("proxy.paths", len(c.Proxy.Paths), 0, maxPaths)
	if _, given := d.written["replicas"]; given {
		d.count("replicas", len(c.Replicas), 1, maxReplicas)
	}
}

func (d *decoder) count(path string, have, least, most int) {
	switch {
	case have < least:
		d.problem(path, ruleNoItem)
	case have > most:
		d.problem(path, fmt.Sprintf(ruleItems, most, have))
	}
}

// distinct reports that key was given before, and remembers where it was given first.
func distinct[K comparable](d *decoder, first map[K]string, key K, path string) {
	if d.unread[path] {
		return
	}
	if at, again := first[key]; again {
		d.problem(path, fmt.Sprintf(ruleSame, at))
		return
	}
	first[key] = path
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (d *decoder) checkNameservers(c *Config) {
	first := map[string]string{}
	for i, ns := range c.DNS.Nameservers {
		path := item("dns.nameservers", i)
		distinct(d, first, ns, path)
		if c.Hostname != "" && atOrBelow(ns, c.Hostname) {
			d.problem(path, ruleInZone)
		}
	}
}

// checkListeners finds sockets that could not be opened beside one another. DNS and the cluster take TCP, too, so
// that all listeners share one space of ports.
func (d *decoder) checkListeners(c *Config) {
	type listener struct {
		path string
		addr netip.Addr
	}
	byPort := map[string][]listener{}
	open := func(path, address string) {
		addr, port := hostPort(address)
		for _, other := range byPort[port] {
			if addr == other.addr || addr.IsUnspecified() || other.addr.IsUnspecified() {
				d.overlap(path, other.path)
				return
			}
		}
		byPort[port] = append(byPort[port], listener{path, addr})
	}
	each := func(path string, addresses []string) {
		for i, address := range addresses[:min(len(addresses), maxListen)] {
			if address != "" {
				open(item(path, i), address)
			}
		}
	}
	each("dns.listen", c.DNS.Listen)
	each("proxy.listen", c.Proxy.Listen)
	open("admin.listen", c.Admin.Listen)
	if c.Cluster != nil {
		open("cluster.listen", c.Cluster.Listen)
	}
}

// overlap blames a listener that was written, rather than a default that nobody can find in the file. A default that
// stands in for what could not be read says nothing.
func (d *decoder) overlap(path, other string) {
	if d.hidden(path) || d.hidden(other) {
		return
	}
	if _, given := d.written[path]; !given {
		path, other = other, path
	}
	d.problem(path, fmt.Sprintf(ruleOverlaps, other))
}

func (d *decoder) checkProxy(c *Config) {
	trusted := map[netip.Prefix]string{}
	for i, p := range c.Proxy.TrustedProxies {
		distinct(d, trusted, p, item("proxy.trusted_proxies", i))
	}
	paths := map[string]string{}
	for i, p := range c.Proxy.Paths {
		distinct(d, paths, p, item("proxy.paths", i))
	}
	if t := c.Proxy.TLS; t != nil && !d.unread["proxy.tls.acme"] {
		d.filled("proxy.tls.certificate", t.Certificate)
		d.filled("proxy.tls.key", t.Key)
		d.checkTrust("proxy.tls.ca", t.CA)
		c.leaf = d.checkPair("proxy.tls.certificate", t.Certificate, "proxy.tls.key", t.Key)
	}
}

// filled reports text that was left out or left empty.
func (d *decoder) filled(path, value string) {
	if value == "" {
		d.problem(path, ruleMissing)
	}
}

func (d *decoder) checkNetworks(networks []Network) {
	first := map[netip.Prefix]string{}
	for i, n := range networks {
		path := item("geo.networks", i)
		d.required(path, "network", "place")
		if _, given := d.written[path+".network"]; given {
			distinct(d, first, n.Network, path+".network")
		}
	}
}

func (d *decoder) checkFilters(c *Config) {
	d.count("replication.filters", len(c.Replication.Filters), 0, maxFilters)
	for i, f := range c.Replication.Filters {
		path := item("replication.filters", i)
		d.required(path, "repositories")
		if _, given := d.written[path+".repositories"]; given {
			d.count(path+".repositories", len(f.Repositories), 1, maxPatterns)
		}
		d.checkReplicaName(c, path+".replica", f.Replica)
	}
}

func (d *decoder) checkHealth(h Health) {
	if h.Timeout > h.Interval && !d.unread["health.interval"] {
		d.problem("health.timeout", ruleTimeout)
	}
}

// checkReplicaName reports a name at path that is no replica's; empty is none.
func (d *decoder) checkReplicaName(c *Config, path, name string) {
	for i := range c.Replicas {
		if d.hidden(item("replicas", i) + ".name") {
			return // it may well be the one that could not be read
		}
	}
	if name != "" && len(c.Replicas) > 0 {
		if rule := replicaRule(c, name); rule != "" {
			d.problem(path, rule)
		}
	}
}

// SetHere makes name the replica beside this gateway, for `serve --here`; empty: it stands in no region.
func (c *Config) SetHere(name string) error {
	if name != "" {
		if rule := replicaRule(c, name); rule != "" {
			return fmt.Errorf("here %q %s", name, rule)
		}
	}
	c.Here = name
	return nil
}

func replicaRule(c *Config, name string) string {
	names := make([]string, 0, len(c.Replicas))
	for _, r := range c.Replicas {
		if r.Name == name {
			return ""
		}
		names = append(names, r.Name)
	}
	return fmt.Sprintf(ruleNoReplica, suggest(name, names))
}
