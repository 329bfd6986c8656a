package configs

import (
	"cmp"
	"net"
	"net/netip"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// Target is one thing that answers for a replica: its upstream, asked as the proxy asks it, or one of its fronts,
// asked as a client asks that DNS sent there.
type Target struct {
	Replica string
	Front   netip.Addr // invalid for the upstream
	Address string     // for people: the upstream's URL, or the front's host:port
	URL     string     // what to GET
	Host    string     // Host to send
	Dial    string     // host:port to connect to instead of the URL's; empty: the URL's
	TLS     keyfiles.Client
}

// Targets are in the order of the file: a replica's upstream, then its fronts.
func (c *Config) Targets() []Target {
	var targets []Target
	for _, r := range c.Replicas {
		targets = append(targets, c.upstream(r))
		for _, front := range r.Addresses {
			targets = append(targets, c.front(r.Name, front))
		}
	}
	return targets
}

// upstream is sent the Host that the proxy sends: the client's, which is the hostname, or the one the file insists on.
func (c *Config) upstream(r Replica) Target {
	return Target{
		Replica: r.Name,
		Address: r.Upstream.String(),
		URL:     r.Upstream.String() + c.Health.Path,
		Host:    cmp.Or(r.Host, c.Hostname),
		TLS:     r.TLS(),
	}
}

// front is always asked for /v2/: health.path is for registries that want another one, and a gateway passes on hardly
// any other.
func (c *Config) front(replica string, addr netip.Addr) Target {
	scheme := "http"
	if c.Proxy.TLS != nil {
		scheme = "https"
	}
	_, port := hostPort(c.Proxy.Listen[0])
	address := net.JoinHostPort(addr.String(), port)
	return Target{
		Replica: replica,
		Front:   addr,
		Address: address,
		URL:     scheme + "://" + c.Hostname + "/v2/",
		Host:    c.Hostname,
		Dial:    address,
		TLS:     c.FrontTLS(),
	}
}

// TLS says how to connect to the replica's upstream, its token service and its object store.
func (r Replica) TLS() keyfiles.Client {
	client := keyfiles.Client{Of: r.Name, Trust: r.CA, Certificate: r.ClientCertificate, Key: r.ClientKey}
	if r.Upstream != nil {
		client.Host = r.Upstream.Hostname()
	}
	return client
}

// FrontTLS says how to connect to a front as clients do, by the hostname. Without proxy.tls.ca the file's own
// certificate is trusted beside the system's authorities: gateways share it, and it may come from an authority that
// only the clients know.
func (c *Config) FrontTLS() keyfiles.Client {
	client := keyfiles.Client{Of: "proxy.tls", Host: c.Hostname, ServerName: c.Hostname}
	if t := c.Proxy.TLS; t != nil {
		if client.Trust = t.CA; len(t.CA) == 0 {
			client.Trust = keyfiles.Trust{keyfiles.SystemRoots, t.Certificate}
		}
	}
	return client
}
