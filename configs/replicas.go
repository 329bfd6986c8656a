package configs

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

func (d *decoder) checkNameLength(c *Config, path, name string) {
	if len(name)+1+len(c.Hostname) > maxName {
		d.problem(path, ruleNameLong)
	}
}

// checkUpstream finds requests that would come back to the gateway.
func (d *decoder) checkUpstream(c *Config, path string, u *url.URL) {
	if c.Hostname != "" && atOrBelow(u.Hostname(), c.Hostname) {
		d.problem(path, ruleLoop)
	}
	if d.hidden("proxy.listen") {
		return
	}
	for i, address := range c.Proxy.Listen[:min(len(c.Proxy.Listen), maxListen)] {
		if listensFor(address, u) {
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
func (d *decoder) checkUpstreamTLS(c *Config, path string, r Replica) {
	ca, certificate, key := path+".ca", path+".client_certificate", path+".client_key"
	clearText := r.Upstream != nil && r.Upstream.Scheme != "https"
	for _, broken := range []struct {
		when       bool
		path, rule string
	}{
		{clearText && len(r.CA) > 0, ca, ruleNeedsHTTPS},
		{clearText && r.ClientCertificate != "", certificate, ruleNeedsHTTPS},
		{r.ClientCertificate != "" && r.ClientKey == "" && !d.unread[key], certificate,
			fmt.Sprintf(ruleAlone, "client_key")},
		{r.ClientKey != "" && r.ClientCertificate == "" && !d.unread[certificate], key,
			fmt.Sprintf(ruleAlone, "client_certificate")},
	} {
		if broken.when {
			d.problem(broken.path, broken.rule)
		}
	}
	d.checkTrust(c, ca, r.CA)
	d.checkPair(certificate, r.ClientCertificate, key, r.ClientKey)
}

// checkHome wants exactly one home; the only replica of a file is it without saying so.
func (d *decoder) checkHome(_ *Config, _ string, replicas []Replica) {
	home := ""
	for i, r := range replicas {
		path := item("replicas", i) + ".home"
		switch {
		case d.unread[path], d.unread[parent(path)]:
			return // who is home cannot be told before this is put right
		case r.Home && home != "":
			d.problem(path, fmt.Sprintf(ruleTwoHomes, d.other(parent(home), path)))
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
