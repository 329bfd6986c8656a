package gateway

import (
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
)

// changeHealth has the probes go by another file: what is as it was is not probed anew.
func (g *Gateway) changeHealth(c *configs.Config) (swap func(), err error) {
	settings, err := healthSettings(c)
	if err != nil {
		return nil, err
	}
	return func() { g.monitor.Update(settings) }, nil
}

func healthSettings(c *configs.Config) (health.Settings, error) {
	probed, err := targets(c)
	if err != nil {
		return health.Settings{}, err
	}
	return health.Settings{
		Replicas: Replicas(c), Targets: probed, Interval: c.Health.Interval, Timeout: c.Health.Timeout,
	}, nil
}

// certificates: one that ends soon keeps this gateway from nothing.
func (g *Gateway) certificates() admin.Check {
	now, soon := time.Now(), []string(nil)
	for _, s := range g.monitor.Status() {
		if s.EndsSoon(now) {
			at := s.URL
			if s.Front.IsValid() {
				at = s.Front.String()
			}
			soon = append(soon, fmt.Sprintf("that of %s at %s ends %s", s.Replica, at, s.Ends.UTC().Format(time.RFC3339)))
		}
	}
	return admin.Check{Name: "certificates of replicas last for 14 days", Note: strings.Join(soon, "; ")}
}
