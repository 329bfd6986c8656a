package gateway

import (
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
