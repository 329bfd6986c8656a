package gateway

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// TestTargetsOfTheSameFile: what the file says alike is the same target, although each has a TLS configuration of its own;
// other files make another one.
func TestTargetsOfTheSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir, "west.contoso.com")
	file := func(ca keyfiles.Trust) *configs.Config {
		c := &configs.Config{Hostname: "registry.contoso.com"}
		c.Health.Interval, c.Health.Timeout, c.Health.Fronts = 5*time.Second, time.Second, true
		c.Proxy.Listen = []string{":443"}
		c.Replicas = []configs.Replica{{Name: "west", Upstream: &url.URL{Scheme: "https", Host: "west.contoso.com"},
			CA: ca, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
		return c
	}
	made := func(ca keyfiles.Trust) string {
		s, err := healthSettings(file(ca))
		if err != nil || len(s.Targets) != 2 || s.Targets[0].TLS == nil {
			t.Fatalf("%v: %+v", err, s)
		}
		return s.Targets[0].TLSFiles
	}
	one, again := made(keyfiles.Trust{filepath.Join(dir, "cert.pem")}), made(keyfiles.Trust{filepath.Join(dir, "cert.pem")})
	if one != again || one == made(nil) {
		t.Errorf("%s, again %s, with other files %s", one, again, made(nil))
	}
	if _, err := healthSettings(file(keyfiles.Trust{filepath.Join(dir, "absent.pem")})); err == nil {
		t.Error("a file that is not there")
	}
}
