package gateway

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
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
		{"TLS 1.2, GCM", &tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		{"TLS 1.2, CBC", &tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
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

func TestServes(t *testing.T) {
	for host, want := range map[string]bool{
		"registry.contoso.com": true, "registry.contoso.com:5000": true, "REGISTRY.contoso.com.": true,
		"westus.registry.contoso.com": true,
		"other.contoso.com":           false, "xregistry.contoso.com": false, "": false, "127.0.0.1": false,
	} {
		if got := serves(host, "registry.contoso.com"); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestMisplaced(t *testing.T) {
	addr := netip.MustParseAddr
	c := &configs.Config{Here: "west", Replicas: []configs.Replica{
		{Name: "west", Addresses: []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2")}},
		{Name: "east", Addresses: []netip.Addr{addr("198.51.100.1")}},
	}}
	for _, test := range []struct {
		own  []netip.Addr
		well bool
	}{
		{nil, true},
		{[]netip.Addr{addr("10.0.0.1")}, true},
		{[]netip.Addr{addr("192.0.2.2")}, true},
		{[]netip.Addr{addr("192.0.2.2"), addr("198.51.100.1")}, true},
		{[]netip.Addr{addr("198.51.100.1")}, false},
	} {
		if got := misplaced(c, test.own); (got == "") != test.well {
			t.Errorf("%v: %q", test.own, got)
		}
	}
	c.Here = ""
	if got := misplaced(c, []netip.Addr{addr("198.51.100.1")}); got != "" {
		t.Error(got)
	}
}

// TestOwnFrontsAsKnown: of several addresses a gateway takes leave of those that it listens on.
func TestOwnFrontsAsKnown(t *testing.T) {
	addr := netip.MustParseAddr
	c := &configs.Config{Here: "west", Replicas: []configs.Replica{{Name: "west",
		Addresses: []netip.Addr{addr("127.0.0.1"), addr("198.51.100.77")}}}}
	for listen, want := range map[string]string{"127.0.0.1:443": "[127.0.0.1]", ":443": "[127.0.0.1]",
		"127.0.0.9:443": "[]"} {
		c.Proxy.Listen = []string{listen}
		if got := fmt.Sprint(ownFronts(c)); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
	c.Replicas[0].Addresses = c.Replicas[0].Addresses[1:]
	if got := fmt.Sprint(ownFronts(c)); got != "[198.51.100.77]" {
		t.Error("the only one:", got)
	}
}
