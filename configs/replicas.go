package configs

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

func (d *decoder) checkReplicas(c *Config) {
	names, upstreams := map[string]string{}, map[string]string{}
	addresses := map[netip.Addr]string{}
	for i, r := range c.Replicas[:min(len(c.Replicas), maxReplicas)] {
		path := item("replicas", i)
		d.required(path, "name", "place", "addresses", "upstream")
		d.checkName(c.Hostname, r.Name, path+".name", names)
		d.checkAddresses(r.Addresses, path+".addresses", addresses)
		d.checkUpstream(c, r, path+".upstream", upstreams)
		d.checkUpstreamTLS(r, path)
	}
	d.checkHome(c.Replicas)
}

func (d *decoder) checkName(hostname, name, path string, names map[string]string) {
	if name == "" {
		return
	}
	distinct(d, names, name, path)
	if len(name)+1+len(hostname) > maxName {
		d.problem(path, ruleNameLong)
	}
}

func (d *decoder) checkAddresses(addresses []netip.Addr, path string, first map[netip.Addr]string) {
	if _, given := d.written[path]; given {
		d.count(path, len(addresses), 1, maxAddresses)
	}
	for i, addr := range addresses {
		distinct(d, first, addr, item(path, i))
	}
}

func (d *decoder) checkUpstream(c *Config, r Replica, path string, first map[string]string) {
	if r.Upstream == nil {
		return
	}
	distinct(d, first, endpoint(r.Upstream), path)
	if c.Hostname != "" && atOrBelow(r.Upstream.Hostname(), c.Hostname) {
		d.problem(path, ruleLoop)
	}
	if d.hidden("proxy.listen") {
		return
	}
	for i, address := range c.Proxy.Listen[:min(len(c.Proxy.Listen), maxListen)] {
		if listensFor(address, r.Upstream) {
			d.problem(path, fmt.Sprintf(ruleOwnListen, item("proxy.listen", i)))
			return
		}
	}
}

// listensFor reports whether a listener at address is surely where connections to u end. The front of another
// gateway is none, though it may have the port and be this machine's for all that the file tells.
func listensFor(address string, u *url.URL) bool {
	host, port, _ := net.SplitHostPort(endpoint(u))
	addr, own := hostPort(address)
	if address == "" || port != own {
		return false
	}
	if host == "localhost" {
		return addr.IsUnspecified() || addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || addr == netip.IPv6Loopback()
	}
	to, err := netip.ParseAddr(host)
	return err == nil && (to == addr || addr.IsUnspecified() && to.IsLoopback())
}

// checkUpstreamTLS checks the files that are for the upstream's TLS alone.
func (d *decoder) checkUpstreamTLS(r Replica, path string) {
	ca, certificate, key := path+".ca", path+".client_certificate", path+".client_key"
	if r.Upstream != nil && r.Upstream.Scheme != "https" {
		d.unless(len(r.CA) == 0, ca, ruleNeedsHTTPS)
		d.unless(r.ClientCertificate == "", certificate, ruleNeedsHTTPS)
	}
	d.unless(r.ClientCertificate == "" || r.ClientKey != "" || d.unread[key], certificate, fmt.Sprintf(ruleAlone, "client_key"))
	d.unless(r.ClientKey == "" || r.ClientCertificate != "" || d.unread[certificate], key, fmt.Sprintf(ruleAlone, "client_certificate"))
	d.checkTrust(ca, r.CA)
	d.checkPair(certificate, r.ClientCertificate, key, r.ClientKey)
}

func (d *decoder) unless(fine bool, path, rule string) {
	if !fine {
		d.problem(path, rule)
	}
}

// checkHome wants exactly one home; the only replica of a file is it without saying so.
func (d *decoder) checkHome(replicas []Replica) {
	home := ""
	for i, r := range replicas {
		path := item("replicas", i) + ".home"
		switch {
		case d.unread[path], d.unread[parent(path)]:
			return // who is home cannot be told before this is put right
		case r.Home && home != "":
			d.problem(path, fmt.Sprintf(ruleTwoHomes, parent(home)))
		case r.Home:
			home = path
		}
	}
	if home != "" || len(replicas) == 0 {
		return
	}
	if len(replicas) > 1 {
		d.problem("replicas", ruleNoHome)
		return
	}
	if _, given := d.written["replicas[0].home"]; given {
		d.problem("replicas[0].home", ruleHomeFalse)
		return
	}
	replicas[0].Home = true
}
