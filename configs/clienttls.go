package configs

import (
	"crypto/tls"
	"fmt"
)

// ClientTLS is how to connect to the replica's upstream, its token service and its object store: which certificates
// to trust and which to show. A renewed one counts from the next connection on.
func (r Replica) ClientTLS() (*tls.Config, error) {
	host := ""
	if r.Upstream != nil {
		host = r.Upstream.Hostname()
	}
	config, err := r.CA.Client(host)
	if err != nil {
		return nil, fmt.Errorf("ca of %s: %w", r.Name, err)
	}
	if r.ClientCertificate == "" {
		return config, nil
	}
	pair, err := renewedPair(r.ClientCertificate, r.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("client certificate of %s: %w", r.Name, err)
	}
	config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		own := pair()
		if asked.SupportsCertificate(own) != nil {
			return &tls.Certificate{}, nil //nolint:nilerr // a token service that wants somebody else's gets none
		}
		return own, nil
	}
	return config, nil
}

// FrontTLS is how to connect to a front as clients do, by the hostname. Without proxy.tls.ca the file's own
// certificate is trusted beside the system's authorities: gateways share it, and it may come from an authority that
// only the clients know.
func (c *Config) FrontTLS() (*tls.Config, error) {
	var trust Trust
	if t := c.Proxy.TLS; t != nil {
		if trust = t.CA; len(trust) == 0 {
			trust = Trust{SystemRoots, t.Certificate}
		}
	}
	config, err := trust.Client(c.Hostname)
	if err != nil {
		return nil, fmt.Errorf("proxy.tls: %w", err)
	}
	config.ServerName = c.Hostname
	return config, nil
}

// Server is the certificate that clients are shown, with its key. A renewed one counts from the next connection on.
func (t *TLS) Server() (func() *tls.Certificate, error) { return renewedPair(t.Certificate, t.Key) }
