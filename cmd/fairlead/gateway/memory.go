package gateway

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/fairlead-gateway/fairlead/proxy"
	"github.com/fairlead-gateway/fairlead/upstream/splice"
)

const mib = 1 << 20

// What memory is shared out by, as TestLittleMemory measures it.
const (
	ownMemory     = 64 * mib // of a gateway that nobody asks, with its table of places
	perConnection = 28 << 10 // that waits for a request, in TLS
	maxHeads      = 64 * mib // where memory is not short: a thousand of 64 KiB
	perEntry      = 10 << 10 // of what is remembered: of all tables together, one entry of the largest, full
)

// allotment is what a gateway may hold for its clients.
type allotment struct {
	clients int   // connections
	heads   int64 // bytes of large heads of requests that are not whole
	pipes   int   // full of bytes that move inside the kernel, which a cgroup counts as well
	proxy   proxy.Memory
}

// allot divides what memory this process may have, in bytes: ten sixteenths are for requests under way, three for
// manifests, two for connections that wait, one for large heads, half of one for small uploads that are kept. Seldom
// all are needed at a time, which leaves some for copies and for the collector.
func allot(limit int64) allotment {
	free, most := max(limit-ownMemory, limit/4), proxy.DefaultMemory
	requests := min(most.Requests, free/16*10)
	return allotment{
		clients: int(min(maxClients, free/16*2/perConnection+requests/proxy.RequestMemory)),
		heads:   min(maxHeads, free/16),
		pipes:   int(min(maxPipes, free/16/splice.Size)),
		proxy: proxy.Memory{
			Requests:   requests,
			Held:       min(most.Held, free/16*3),
			Streams:    int(min(int64(most.Streams), max(free/(5*mib), 16))),
			Receive:    int(min(int64(most.Receive), max(free/512, 64<<10))),
			Remembered: int(min(int64(most.Remembered), max(free/perEntry, 1024))),
			Kept:       min(most.Kept, free/32),
		},
	}
}

// memoryLimit has the collector keep to nine tenths of what the cgroup allows, unless GOMEMLIMIT says otherwise, and
// returns that, in bytes. Where nothing is said it is half of what the machine has.
func memoryLimit() int64 {
	_, _ = memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup)) // no cgroup, or no limit in it
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	all, err := memlimit.FromSystem()
	if err != nil || all > math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(all / 2)
}
