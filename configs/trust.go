package configs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// Trust is whose certificates a server may have: names of files, and the word SystemRoots. Empty is that word alone.
type Trust []string

// SystemRoots are the authorities that the system trusts.
const SystemRoots = "system"

// Client is how to connect to servers that have such certificates. A file that is replaced counts from the next
// connection on, and one that cannot be read does not: what it said before goes on. A server that is reached by its
// address and not by a name has to have a certificate for host, since crypto/tls does not say by which address; "":
// there is none.
func (t Trust) Client(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(t.files()) == 0 {
		return config, nil
	}
	renewed, err := newRenewed(t.files(), t.pool)
	if err != nil {
		return nil, err
	}
	// The standard library's own check knows one pool for ever.
	config.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does it
	config.VerifyConnection = func(s tls.ConnectionState) error {
		return verify(s, cmp.Or(s.ServerName, host), renewed.get())
	}
	return config, nil
}

func (t Trust) files() []string {
	return slices.DeleteFunc(slices.Clone(t), func(name string) bool { return name == SystemRoots })
}

func (t Trust) pool() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if slices.Contains(t, SystemRoots) {
		// Else it is a container without certificates: the files are all there is.
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	}
	for _, name := range t.files() {
		pem, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s %s", name, ruleNoCertificate)
		}
	}
	return pool, nil
}

// verify is what crypto/tls does where it verifies itself. The error names the server: it may be a token service or
// an object store that some other one has led to.
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

// trust takes the name of a file, or the word for the system's own.
func (d *decoder) trust(to *Trust) field {
	return d.oneOrMore((*[]string)(to), func(s string) (string, string) {
		if s == SystemRoots {
			return s, ""
		}
		return d.fileName(s)
	})
}

func (d *decoder) checkTrust(path string, t Trust) {
	for i, name := range t {
		at := path
		if len(t) > 1 {
			at = item(path, i)
		}
		if name == SystemRoots {
			continue
		}
		if pem, ok := d.content(at, name); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			d.problem(at, ruleNoCertificate)
		}
	}
}
