package gateway

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestSuites: nobody is offered what breaks where padding is told from content.
func TestSuites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir, "registry.contoso.com")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		client *tls.Config
		well   bool
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2, GCM", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		{"TLS 1.2, CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		ours, theirs := net.Pipe()
		_ = ours.SetDeadline(time.Now().Add(time.Minute))
		go func() {
			_ = tls.Server(ours, clientsTLS(func() *tls.Certificate { return &pair })).Handshake()
			ours.Close()
		}()
		c.client.InsecureSkipVerify = true
		if err := tls.Client(theirs, c.client).Handshake(); (err == nil) != c.well {
			t.Errorf("%s: %v", c.name, err)
		}
		theirs.Close()
	}
}
