// Package keyfilestest makes certificates for tests.
package keyfilestest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// WritePair writes DIR/NAME.pem and DIR/NAME.key: a certificate that is its own authority, for registry.contoso.com
// and 127.0.0.1, for an hour. It panics where it cannot.
func WritePair(dir, name string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"registry.contoso.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	write(filepath.Join(dir, name+".pem"), &pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	write(filepath.Join(dir, name+".key"), &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(path string, block *pem.Block) { must(os.WriteFile(path, pem.EncodeToMemory(block), 0o600)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
