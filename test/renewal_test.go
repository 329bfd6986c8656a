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
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{hostname, "*." + hostname},
		NotAfter: time.Now().Add(time.Hour)}
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
// longer trusted, then the cluster's key is another one. No gateway ever calls another one's front down for it, or
// loses it.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	long(t)
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	dirs := map[string]string{}
	at := func(g *gateway, name string) string { return filepath.Join(dirs[g.here], name) }
	keyFile := regexp.MustCompile(`key: ([^ ,}]+)`)
	var oldKey string
	gateways := newRegionsWith(t, func(f *file) {
		dir := t.TempDir()
		dirs[f.here] = dir
		certificate, key := before.issue(t)
		writeFile(t, filepath.Join(dir, "cert.pem"), certificate)
		writeFile(t, filepath.Join(dir, "key.pem"), key)
		writeFile(t, filepath.Join(dir, "ca.pem"), before.text+after.text)
		f.tls = fmt.Sprintf("{certificate: %q, key: %q, ca: %q}",
			filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem"))
		shared := keyFile.FindStringSubmatch(f.cluster)[1]
		text, err := os.ReadFile(shared)
		must(t, err)
		oldKey = string(text)
		writeFile(t, filepath.Join(dir, "cluster.key"), oldKey)
		f.cluster = strings.Replace(f.cluster, shared, filepath.Join(dir, "cluster.key"), 1)
	}).gateways
	allUp := func() error {
		for _, g := range gateways {
			if n := g.metric(t, "fairlead_replica_up", `target="front"`); n < float64(len(gateways)) {
				return fmt.Errorf("%s: %v fronts are up", g.name, n)
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
		for _, g := range gateways {
			then = append(then, count(g))
		}
		waitFor(t, startBound, "probes", func() error {
			for i, g := range gateways {
				if n := count(g) - then[i]; n < float64(2*len(gateways)) {
					return fmt.Errorf("%s: %v", g.name, n)
				}
			}
			return nil
		})
		for _, g := range gateways {
			if n := g.metricOrZero(t, probesMetric, `result="certificate"`); n > 0 {
				t.Errorf("%s: %s called %v certificates bad", what, g.name, n)
			}
			if n := g.metricOrZero(t, "fairlead_cluster_misfits_total"); n > 0 ||
				strings.Contains(g.output(), "member lost") {
				t.Errorf("%s: %s lost another gateway, or did not understand it %v times", what, g.name, n)
			}
		}
		if err := allUp(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, g := range gateways {
		certificate, key := after.issue(t)
		replace(t, at(g, "cert.pem"), certificate)
		replace(t, at(g, "key.pem"), key)
		waitFor(t, startBound, "the new certificate", func() error { return shows(t, g, after) })
		probed(g.name + " renewed")
	}
	for _, g := range gateways {
		replace(t, at(g, "ca.pem"), after.text)
		probed(g.name + " no longer trusts the old authority")
	}
	text, err := os.ReadFile(newKey(t))
	must(t, err)
	newer := string(text)
	for _, keys := range []string{oldKey + newer, newer + oldKey, newer} {
		for _, g := range gateways {
			said := strings.Count(g.output(), "keys were replaced")
			replace(t, at(g, "cluster.key"), keys)
			waitFor(t, startBound, "the keys", func() error {
				if strings.Count(g.output(), "keys were replaced") == said {
					return fmt.Errorf("%s goes on with the old ones", g.name)
				}
				return nil
			})
		}
		probed("other keys")
	}
	certificate, key := before.issue(t)
	replace(t, at(gateways[0], "cert.pem"), certificate)
	replace(t, at(gateways[0], "key.pem"), key)
	waitFor(t, moveBound, "the old authority to be refused", func() error {
		if n := gateways[1].metricOrZero(t, probesMetric, `result="certificate"`); n == 0 {
			return fmt.Errorf("it is trusted")
		}
		return nil
	})
}

// shows: a gateway shows who asks a certificate of that authority.
func shows(t testing.TB, g *gateway, of authority) error {
	host, _, err := net.SplitHostPort(g.listen)
	must(t, err)
	conn, err := from(host).DialContext(t.Context(), "tcp", g.listen)
	if err != nil {
		return err
	}
	secure := tls.Client(conn, insecure)
	defer secure.Close()
	if err := secure.HandshakeContext(t.Context()); err != nil {
		return err
	}
	return secure.ConnectionState().PeerCertificates[0].CheckSignatureFrom(of.certificate)
}
