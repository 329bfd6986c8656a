package keyfiles

import (
	"crypto/x509"
	"fmt"
	"slices"
)

// Trust is whose certificates a server may have: names of files, and the word SystemRoots. Empty is that word alone.
type Trust []string

// SystemRoots are the authorities that the system trusts.
const SystemRoots = "system"

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
		pem, err := Read(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", name)
		}
	}
	return pool, nil
}
