package keyfiles

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"
)

func TestWarnings(t *testing.T) {
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
		got := Warnings(leaf, hostname, []string{"westus." + hostname, "eastus." + hostname}, tt.now)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
