package gateway

import (
	"context"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
)

// changeWrites has the replicas of another file judged by their writes, and probed where it allows that.
func (g *Gateway) changeWrites(c *configs.Config) (swap func(), err error) {
	return func() {
		g.writes.Update(writersOf(c))
		g.writeProbes.Update(g.probedWriters(c), c.Health.Timeout)
	}, nil
}

func writersOf(c *configs.Config) (all []health.Writer) {
	for _, r := range c.Replicas {
		all = append(all, health.Writer{Name: r.Name, Registry: r.Incarnation(), Storage: r.Storage})
	}
	return all
}

// probedWriters are the replicas that may get pushes. What the operator has taken out, or keeps read-only, is left in
// peace.
func (g *Gateway) probedWriters(c *configs.Config) (all []health.ProbedWriter) {
	if !c.Health.Write {
		return nil
	}
	reached := ownReach(c, g.upstreams)
	for _, r := range c.Replicas {
		if !r.Write || r.State != configs.StateOnline {
			continue
		}
		to := reached[r.Name].Repository(health.ProbeRepository)
		all = append(all, health.ProbedWriter{
			Name: r.Name, Registry: r.Incarnation(),
			Probe: func(ctx context.Context, size int) health.WriteProbe {
				got := to.TryUpload(ctx, size)
				return health.WriteProbe{Status: got.Status, Stays: got.Stays, Err: got.Err}
			},
		})
	}
	return all
}

// writeFailing is what operators are shown of a replica whose uploads fail; nil: they do not.
func (g *Gateway) writeFailing() func(replica string) *admin.WriteFailing {
	failing := g.writes.Status()
	return func(replica string) *admin.WriteFailing {
		s, fails := failing[replica]
		if !fails {
			return nil
		}
		return &admin.WriteFailing{
			Since: s.Since, Status: s.Status, Repository: s.Repository, NextTry: s.NextTry, Probed: s.Probed,
		}
	}
}
