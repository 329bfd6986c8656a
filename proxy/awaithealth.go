package proxy

import (
	"context"
	"net/http"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// awaitHealth waits, where only one replica may take a write that could be sent again and that one did not answer,
// until the probes have made up their mind about it. It reports whether the replica is down: then the write is decided
// anew. Who only asks is waited for until its deadline.
func (x *exchange) awaitHealth(got answer, deadline time.Time) bool {
	only := x.repeatable() && len(x.decided.Tries) == 1 && x.decided.asksOwner()
	if got.err == nil || got.Refused || isAny(got.err, h1.ErrNonsense, errTooManyThere) || !only {
		return false
	}
	until := deadline
	if x.in.Method != http.MethodHead {
		until = time.Now().Add(x.settings.Limits.AwaitHealth)
	}
	ctx, cancel := context.WithDeadline(x.ctx, until)
	defer cancel()
	tick := time.NewTicker(fleetEvery)
	defer tick.Stop()
	for {
		if !x.proxy.Fleet().Replica(got.Replica.Name).Readable() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fleetEvery is how often a request that waits for the probes looks at what they say.
const fleetEvery = 50 * time.Millisecond
