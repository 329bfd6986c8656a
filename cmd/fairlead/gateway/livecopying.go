package gateway

import (
	"fmt"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
	"github.com/fairlead-gateway/fairlead/replication"
)

// changeCopying has the replicas of another file copied to, and audited.
func (g *Gateway) changeCopying(c *configs.Config) (swap func(), err error) {
	replicas := holders(c.Replicas)
	if err := ledger.CheckReplicas(replicas); err != nil {
		return nil, err
	}
	return func() {
		_ = g.ledger.Update(replicas) // they are checked
		g.copying.ways.Store(g.copying.waysOf(c))
		g.copying.Update(copyingSettings(c))
		g.copying.audit.Forget(namesOfReplicas(c))
		g.copying.Wake()
		g.leaving.remember(c.Replicas)
	}, nil
}

func copyingSettings(c *configs.Config) replication.Settings {
	return replication.Settings{
		Concurrency: c.Replication.Concurrency, BytesPerSecond: c.Replication.Bandwidth,
		Filters: fmt.Sprintf("%+v", c.Replication.Filters),
	}
}

// changeHooks has subscribers told as the file says now.
func (g *Gateway) changeHooks(c *configs.Config) (swap func(), err error) {
	s, err := hookSettings(c)
	if err != nil {
		return nil, err
	}
	return g.hooks.Prepare(s)
}

func hookSettings(c *configs.Config) (webhook.Settings, error) {
	trust, err := keyfiles.Client{Of: "webhooks", Trust: c.WebhooksCA}.Config()
	return webhook.Settings{
		InFile: c.Webhooks, Regions: namesOfReplicas(c), AllowPrivate: c.WebhooksPrivate, TLS: trust,
	}, err
}

// takesCopies reports whether what is pushed to others comes to a replica.
func takesCopies(r configs.Replica) bool {
	return r.Write && r.State != configs.StateOffline && r.State != configs.StateLeaving
}
