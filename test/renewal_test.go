package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates for the hostname.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	text        string
}

func newAuthority(t testing.TB, name string) authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return authority{certificate, key, pemOf("CERTIFICATE", der)}
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue is a new certificate with its key.
func (a authority) issue(t testing.TB) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{hostname, "*." + hostname}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", keyDER)
}

// replace puts a file in the place of another, as a renewal does.
func replace(t testing.TB, name, text string) {
	writeFile(t, name+".new", text)
	must(t, os.Rename(name+".new", name))
}

// TestRenewedCertificates: region by region the certificate is renewed by another authority, then the old one is no
// longer trusted. No gateway ever calls another one's front down for it.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	long(t)
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	var dirs []string
	at := func(i int, name string) string { return filepath.Join(dirs[i], name) }
	sites := startSitesOf(t, built(t, fairleadProgram), 25, func(i int, f *file) {
		dirs = append(dirs, t.TempDir())
		certificate, key := before.issue(t)
		writeFile(t, at(i, "cert.pem"), certificate)
		writeFile(t, at(i, "key.pem"), key)
		writeFile(t, at(i, "ca.pem"), before.text+after.text)
		f.tls = fmt.Sprintf("{certificate: %q, key: %q, ca: %q}", at(i, "cert.pem"), at(i, "key.pem"), at(i, "ca.pem"))
	})
	allUp := func() error {
		for _, s := range sites {
			if n := s.gateway.metric(t, "fairlead_replica_up", `target="front"`); n < float64(len(sites)) {
				return fmt.Errorf("%s: %v fronts are up", s.gateway.name, n)
			}
		}
		return nil
	}
	waitFor(t, moveBound, "all fronts", allUp)
	// probed waits until each gateway has probed each front twice more.
	probed := func(what string) {
		t.Helper()
		count := func(g *gateway) float64 { return g.metric(t, probesMetric, `target="front"`) }
		var then []float64
		for _, s := range sites {
			then = append(then, count(s.gateway))
		}
		waitFor(t, startBound, "probes", func() error {
			for i, s := range sites {
				if n := count(s.gateway) - then[i]; n < float64(2*len(sites)) {
					return fmt.Errorf("%s: %v", s.gateway.name, n)
				}
			}
			return nil
		})
		for _, s := range sites {
			if n := s.gateway.metricOrZero(t, probesMetric, `result="certificate"`); n > 0 {
				t.Errorf("%s: %s called %v certificates bad", what, s.gateway.name, n)
			}
		}
		if err := allUp(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i, s := range sites {
		certificate, key := after.issue(t)
		replace(t, at(i, "cert.pem"), certificate)
		replace(t, at(i, "key.pem"), key)
		waitFor(t, startBound, "the new certificate", func() error {
			conn, err := tls.Dial("tcp", s.gateway.listen, insecure)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.ConnectionState().PeerCertificates[0].CheckSignatureFrom(after.certificate)
		})
		probed(s.gateway.name + " renewed")
	}
	for i, s := range sites {
		replace(t, at(i, "ca.pem"), after.text)
		probed(s.gateway.name + " no longer trusts the old authority")
	}
	certificate, key := before.issue(t)
	replace(t, at(0, "cert.pem"), certificate)
	replace(t, at(0, "key.pem"), key)
	waitFor(t, moveBound, "the old authority to be refused", func() error {
		if n := sites[1].gateway.metricOrZero(t, probesMetric, `result="certificate"`); n == 0 {
			return fmt.Errorf("it is trusted")
		}
		return nil
	})
}
