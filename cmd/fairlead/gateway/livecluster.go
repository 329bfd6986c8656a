package gateway

import (
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// changeCluster has this gateway look for other peers, end leases by another idle time, and compare another file with
// those of the others; one that drains has the addresses leave DNS that are its own now. Keys are followed without it
// (agreement.run), also where another file has them.
func (g *Gateway) changeCluster(c *configs.Config) (swap func(), err error) {
	if g.agreed == nil || c.Cluster == nil { // a cluster begins and ends with a restart
		return func() { g.drains.fileChanged(g) }, nil
	}
	if _, err := keyfiles.ClusterKeys(c.Cluster.Key); err != nil {
		return nil, err
	}
	to := membership(c)
	if err := g.agreed.Check(to); err != nil {
		return nil, err
	}
	return func() {
		g.agreed.Update(to)
		g.drains.fileChanged(g)
	}, nil
}

func membership(c *configs.Config) cluster.Settings {
	return cluster.Settings{Peers: c.Cluster.Peers, Idle: c.Lease.Idle, Shared: c.Shared()}
}
