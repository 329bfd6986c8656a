package test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// TestClusterLeases: many repositories leased at a time, and what each gateway pays for them.
func TestClusterLeases(t *testing.T) {
	t.Parallel()
	n := few(1000, 4_000)
	registries := startRegistries(t, memoryKind, splitReplicas)
	gateways := startClusterOf(t, built(t, shippedProgram), registries, nil)
	leaseMany(t, gateways, "warm-up", n/20) // fills pools and tables of the runtime
	type cost struct {
		memory memory
		sent   float64
	}
	costs := func() (all []cost) {
		for _, g := range gateways {
			all = append(all, cost{memoryOf(t, g), g.metric(t, "fairlead_cluster_message_bytes_total",
				`direction="out"`)})
		}
		return all
	}
	before := costs()
	leaseMany(t, gateways, "leased", n)
	waitFor(t, startBound, "all to know all leases", func() error {
		for _, g := range gateways {
			if got := len(g.leases(t)); got != n+n/20 {
				return fmt.Errorf("%s knows %d", g.name, got)
			}
		}
		return nil
	})
	for i, after := range costs() {
		t.Logf("figure: %s, %d repositories leased: %.0f bytes sent for each; before: %v; after: %v",
			gateways[i].name, n, (after.sent-before[i].sent)/float64(n), before[i].memory, after.memory)
		// A table that grew with anything but the leases would pass this by far.
		if grown := after.memory.heap - before[i].memory.heap; grown > n*4096+maxHeapGrowth {
			t.Errorf("%s: the heap has grown by %d bytes", gateways[i].name, grown)
		}
	}
}

// leaseMany starts a push to ever new repositories, through all gateways.
func leaseMany(t *testing.T, gateways []*gateway, prefix string, n int) {
	var next atomic.Int32
	var all sync.WaitGroup
	for i, g := range gateways {
		for range 3 {
			c := newRegional(t, i+1, g)
			all.Go(func() {
				for r := int(next.Add(1)); r <= n; r = int(next.Add(1)) {
					if _, err := c.send(http.MethodPost, fmt.Sprintf("/v2/%s-%d/blobs/uploads/", prefix, r), "", nil,
						http.StatusAccepted); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}
