package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// identity is the one certificate that all peers show, with an ECDSA key on P-256.
type identity struct {
	certificate, key, both string // files
	roots                  *x509.CertPool
}

func newIdentity(dir string) (identity, error) {
	i := identity{certificate: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
		both: filepath.Join(dir, "both.pem"), roots: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return i, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{hostname},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return i, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return i, err
	}
	certificatePEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	i.roots.AppendCertsFromPEM(certificatePEM)
	for name, text := range map[string][]byte{i.certificate: certificatePEM, i.key: keyPEM,
		i.both: slices.Concat(certificatePEM, keyPEM)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return i, err
		}
	}
	return i, nil
}
