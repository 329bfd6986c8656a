package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// outlives waits, where only one replica may take a write that could be sent again and that one did not answer, until
// the probes have made up their mind about it. It reports whether the replica is down: then the write is decided anew.
func (x *exchange) outlives(got answer, until time.Time) bool {
	if got.err == nil || got.guarded() || errors.Is(got.err, upstream.ErrNonsense) || !x.repeatable() || len(x.decision.Tries) != 1 || !x.asksOwner() {
		return false
	}
	ctx, cancel := context.WithDeadline(x.ctx, until)
	defer cancel()
	tick := time.NewTicker(fleetEvery)
	defer tick.Stop()
	for {
		if !x.proxy.Fleet().Replica(got.replica.Name).Readable() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// asksOwner: what belongs to writing, and what a client that pushes asks before it writes.
func (x *exchange) asksOwner() bool {
	return x.request.Named == "" && (x.target.kind == router.Write || x.target.kind == router.Exists)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fleetEvery is how often a request that waits for the probes looks at what they say.
const fleetEvery = 50 * time.Millisecond
