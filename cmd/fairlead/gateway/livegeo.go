package gateway

import "github.com/fairlead-gateway/fairlead/configs"

// changeGeo has addresses placed as the file says now, and replicas put in order by where they are.
func (g *Gateway) changeGeo(c *configs.Config) (swap func(), err error) { return g.geo.Prepare(c) }
