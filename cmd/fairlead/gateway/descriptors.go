package gateway

import (
	"syscall"

	"github.com/fairlead-gateway/fairlead/dnsserver"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// maxClients bounds the clients' connections where descriptors are not short.
const maxClients = 16_384

// maxPipes bounds what the kernel holds of bodies that move slowly: 128 MiB.
const maxPipes = 512

// descriptors are how many connections of each kind may be open at once. What is left of the limit is for files,
// probes, the admin listener, other gateways and copies.
type descriptors struct {
	clients                int
	dns                    int // over TCP, for each listener
	toReplica, idleReplica int // for each replica
	pipes                  int // through which bodies move inside the kernel, two descriptors each
}

// share divides what this process may have open. Each client may have a connection to a replica, and another one
// waits there for the next request. Clients that ask for much at once over HTTP/2 may want more: what has no
// descriptor is 503.
func share(limit uint64, replicas, dnsListeners int) descriptors {
	n := int(min(limit, 1<<20)) //nolint:gosec // bounded
	eighth := max(n/8, 1)
	pipes := min(maxPipes, n/32)
	third := max((n-eighth-max(eighth, 48)-2*pipes)/3, 4)
	return descriptors{
		clients:     min(maxClients, third),
		dns:         min(dnsserver.MostConns, max(eighth/dnsListeners, 1)),
		toReplica:   min(upstream.MaxConns, third),
		idleReplica: min(upstream.MaxIdleConns, max(third/replicas, 1)),
		pipes:       pipes,
	}
}

// maxOpenFiles is the limit of this process (RLIMIT_NOFILE), which Go raises to the hard one when it starts.
func maxOpenFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1 << 20
	}
	return limit.Cur
}
