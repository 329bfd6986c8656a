package gateway

import (
	"crypto/tls"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/auth"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// Replicas is the fleet as the file has it: everything counts as up.
func Replicas(c *configs.Config) []router.Replica {
	out := make([]router.Replica, len(c.Replicas))
	for i, r := range c.Replicas {
		out[i] = router.Replica{
			Name:        r.Name,
			Incarnation: r.Incarnation(),
			Point:       r.Place.Point,
			Country:     r.Place.Country,
			Bias:        r.Bias,
			Home:        r.Home,
			Operator:    router.Operator(r.State),
			Writable:    r.Write,
			Storage:     r.Storage,
			Fronts:      fronts(r.Addresses),
			Upstream:    router.Health{Up: true},
		}
	}
	return out
}

func fronts(addresses []netip.Addr) []router.Front {
	out := make([]router.Front, len(addresses))
	for i, a := range addresses {
		out[i] = router.Front{Addr: a, Health: router.Health{Up: true}}
	}
	return out
}

// targets is what to probe; the file may leave the fronts out.
func targets(c *configs.Config) ([]health.Target, error) {
	var out []health.Target
	for _, t := range c.Targets() {
		if t.Front.IsValid() && !c.Health.Fronts {
			continue
		}
		config, err := t.TLS.Config()
		if err != nil {
			return nil, err
		}
		out = append(out, health.Target{Replica: t.Replica, Front: t.Front, URL: t.URL, Host: t.Host, Dial: t.Dial,
			TLS: config})
	}
	return out, nil
}

// healthFile is where what is down is kept for the next run; "": nowhere.
func healthFile(c *configs.Config) string {
	if c.State == "" {
		return ""
	}
	return filepath.Join(c.State, "health.json")
}

func limits(of configs.Limits) proxy.Limits {
	l := proxy.DefaultLimits()
	l.FirstByte, l.Lists, l.Silence, l.Resume = of.FirstByte, of.Lists, of.Silence, of.Resume
	return l
}

// clientShare is what part of connections and requests one client may have.
func clientShare(c *configs.Config) float64 { return float64(c.Proxy.Limits.ClientShare) / 100 }

// clientsTLS is what clients are offered. Of TLS 1.2 only suites whose records are authenticated as a whole (RFC
// 9325, 4.2): no CBC.
func clientsTLS(certificate func() *tls.Certificate) *tls.Config {
	var suites []uint16
	for _, s := range tls.CipherSuites() {
		if !strings.Contains(s.Name, "_CBC_") {
			suites = append(suites, s.ID)
		}
	}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
		MinVersion:     tls.VersionTLS12, CipherSuites: suites,
	}
}

// ownReach is how a gateway reaches replicas in its own name.
func ownReach(c *configs.Config, u *upstream.Transports) map[string]transfer.Replica {
	reached := map[string]transfer.Replica{}
	for _, r := range c.Replicas {
		to := u.Reach(r.Name)
		if r.Credentials != "" {
			to.Transport = auth.Authorize(to.Transport, u.Direct(r.Name), r.Upstream,
				auth.DockerConfig(r.Credentials, r.Upstream.Host))
		}
		reached[r.Name] = to
	}
	return reached
}

// ownLogins are those replicas where the file has a login for the gateway.
func ownLogins(c *configs.Config, u *upstream.Transports) map[string]transfer.Replica {
	reached := ownReach(c, u)
	for _, r := range c.Replicas {
		if r.Credentials == "" {
			delete(reached, r.Name)
		}
	}
	return reached
}

// sourcesOf depends on the file alone.
func sourcesOf(c *configs.Config) map[string][]string {
	fleet, all := router.NewFleet(Replicas(c)), map[string][]string{}
	for _, r := range c.Replicas {
		for _, from := range fleet.OrderHere(r.Name) {
			if from.Name != r.Name {
				all[r.Name] = append(all[r.Name], from.Name)
			}
		}
	}
	return all
}
