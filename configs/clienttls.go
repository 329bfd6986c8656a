package configs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// ClientTLS is how to connect to the replica's upstream: which certificates to trust and which to show. It reads
// the files anew, so that a renewed certificate counts.
func (r Replica) ClientTLS() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA != "" {
		cfg.RootCAs = x509.NewCertPool()
		if err := appendFile(cfg.RootCAs, r.CA); err != nil {
			return nil, fmt.Errorf("ca of %s: %w", r.Name, err)
		}
	}
	if r.ClientCertificate != "" {
		pair, err := tls.LoadX509KeyPair(r.ClientCertificate, r.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client certificate of %s: %w", r.Name, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// FrontTLS is how to connect to a front as clients do, by the hostname. Beside the system's authorities the
// file's own certificate is trusted: gateways share it, and it may come from an authority that only the clients know.
func (c *Config) FrontTLS() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Hostname}
	if c.Proxy.TLS == nil {
		return cfg, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a container without certificates: the file's own is all there is
	}
	if err := appendFile(pool, c.Proxy.TLS.Certificate); err != nil {
		return nil, fmt.Errorf("proxy.tls.certificate: %w", err)
	}
	cfg.RootCAs = pool
	return cfg, nil
}

func appendFile(pool *x509.CertPool, name string) error {
	pem, err := readFile(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s %s", name, ruleNoCertificate)
	}
	return nil
}
