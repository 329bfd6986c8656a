package configs

import (
	"crypto/x509"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/keyfiles/keyfilestest"
)

func TestCertificateWarnings(t *testing.T) {
	const hostname = "registry.contoso.com"
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	const (
		expired  = "has expired at 2026-04-01T00:00:00Z: clients will refuse it"
		early    = "is not valid before 2026-01-01T00:00:00Z: until then clients will refuse it"
		other    = "does not cover the hostname registry.contoso.com: clients will refuse it"
		westus   = "does not cover westus.registry.contoso.com: clients that ask for one replica by name will refuse it"
		replicas = "does not cover westus.registry.contoso.com and 1 more: clients that ask for one replica by name will refuse it"
	)
	tests := []struct {
		name  string
		names []string // in the certificate
		now   time.Time
		want  []string
	}{
		{"covers everything", []string{hostname, "*." + hostname}, from, nil},
		{"its last second", []string{hostname, "*." + hostname}, to, nil},
		{"expired", []string{hostname, "*." + hostname}, to.Add(1), []string{expired}},
		{"not yet valid", []string{hostname, "*." + hostname}, from.Add(-1), []string{early}},
		{"one replica by name", []string{hostname, "eastus." + hostname}, from, []string{westus}},
		{"the hostname alone", []string{hostname}, from, []string{replicas}},
		{"the replicas alone", []string{"*." + hostname}, from, []string{other}},
		{"a wildcard one label up", []string{"*.contoso.com"}, from, []string{replicas}},
		{"everything at once", nil, to.Add(1), []string{expired, other, replicas}},
	}
	for _, tt := range tests {
		leaf := &x509.Certificate{NotBefore: from, NotAfter: to, DNSNames: tt.names}
		got := certificateWarnings(leaf, hostname, []Replica{{Name: "westus"}, {Name: "eastus"}}, tt.now)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The certificate is the one that was loaded, and the warning stands at its line.
func TestWarningsOfCertificateFile(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "gateway")
	c := load(t, write(t, filepath.Join(dir, "fairlead.yaml"), smallest+"proxy:\n  tls:\n    certificate: gateway.pem\n    key: gateway.key\n"))
	const want = ":7: proxy.tls.certificate: does not cover westus.registry.contoso.com: "
	if got := Problems(c.Warnings()).Error(); !strings.Contains(got, want) || strings.Count(got, "proxy.tls") != 1 {
		t.Errorf("got:\n%s\nwant %s", got, want)
	}
}
