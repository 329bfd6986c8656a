package keyfiles

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Client says how to connect to a server: which certificates to trust and which to show.
type Client struct {
	Of         string // whose it is, for errors
	Trust      Trust
	Host       string // whose certificate a server must have that is reached by its address; "": there is none
	ServerName string // to ask for, and to verify; "": the name that is connected to

	Certificate, Key string // files of what is shown; "": nothing
}

// Config makes the configuration of connections. A file that is replaced counts from the next connection on.
func (c Client) Config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if len(c.Trust.files()) > 0 {
		roots, err := follow(c.Trust.files(), c.Trust.pool)
		if err != nil {
			return nil, fmt.Errorf("ca of %s: %w", c.Of, err)
		}
		// The standard library's own check knows one pool for ever.
		config.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does it
		config.VerifyConnection = func(s tls.ConnectionState) error {
			return verify(s, cmp.Or(s.ServerName, c.Host), roots.get())
		}
	}
	if c.Certificate == "" {
		return config, nil
	}
	pair, err := Pair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("client certificate of %s: %w", c.Of, err)
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

// verify does what crypto/tls does where it verifies itself. Its error names the server: it may be a token service or
// an object store that some other one has led to. An address is no ServerName, and crypto/tls does not say which one
// was connected to.
func verify(s tls.ConnectionState, name string, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 || name == "" {
		return fmt.Errorf("%q shows no certificate, or is reached by an address that the file does not name", name)
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{
			UnverifiedCertificates: s.PeerCertificates, Err: fmt.Errorf("%s: %w", name, err),
		}
	}
	return nil
}
