package configs

import (
	"fmt"
	"net/netip"
	"time"
)

func (d *decoder) checkNameserver(c *Config, path, name string) {
	if c.Hostname != "" && atOrBelow(name, c.Hostname) {
		d.problem(path, ruleInZone)
	}
}

func (d *decoder) checkWholeSeconds(_ *Config, path string, ttl time.Duration) {
	if ttl%time.Second != 0 {
		d.problem(path, ruleWholeSeconds)
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

// checkTLS wants a certificate with its key, and keeps it for the warnings.
func (d *decoder) checkTLS(c *Config, path string, t *TLS) {
	if d.unread[path+".acme"] {
		return
	}
	d.filled(path+".certificate", t.Certificate)
	d.filled(path+".key", t.Key)
	c.leaf = d.checkPair(path+".certificate", t.Certificate, path+".key", t.Key)
}

// filled reports text that was left out or left empty.
func (d *decoder) filled(path, value string) {
	if value == "" {
		d.problem(path, ruleMissing)
	}
}

func (d *decoder) checkHealth(_ *Config, path string, h Health) {
	if h.Timeout > h.Interval && !d.unread[path+".interval"] {
		d.problem(path+".timeout", ruleTimeout)
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
	c.Here, c.told = name, true
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
