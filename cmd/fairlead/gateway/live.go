package gateway

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/fairlead-gateway/fairlead/configs"
)

// live is the file in force: one value, replaced as a whole. Whoever serves a request or a query reads it once.
type live struct {
	changing sync.Mutex // Held while another file is put in force.
	file     atomic.Pointer[configs.Config]
}

func (l *live) config() *configs.Config { return l.file.Load() }

// change is what one part of a gateway does about another file. All that can fail is done before swap is returned; a swap
// cannot fail, and nothing has changed before it is called. What the change does not concern stays as it is.
type change func(c *configs.Config) (swap func(), err error)

// apply puts another file in force: in all parts, or in none. What a restart takes (configs.Restart) is as before in c.
func (g *Gateway) apply(c *configs.Config) error {
	g.live.changing.Lock()
	defer g.live.changing.Unlock()
	var swaps []func()
	var problems []error
	for _, prepare := range g.changes() {
		swap, err := prepare(c)
		swaps, problems = append(swaps, swap), append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	g.live.file.Store(c)
	for _, swap := range swaps {
		swap()
	}
	return nil
}

// changes are those of all parts, in their order: the ways to replicas come first, so that whoever hears of a replica can
// reach it, and the fleet that clients are sent to comes last.
func (g *Gateway) changes() []change {
	return []change{
		g.changeWays,
		g.changeWrites, // by the ways to replicas
		g.changeCopying,
		g.changeHooks,
		g.changeCluster,
		g.changeClients,
		g.changeCertificate,
		g.changeGeo,
		g.changeHealth,
	}
}
