package test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// TestScatter pushes through two gateways that know nothing of each other, from clients whose address is another one
// with every connection, as behind rotating NAT, so that each gateway leases each repository to a replica of its own
// choice. The blobs of every push end on two replicas; the gateway that gets the manifest has to bring them together.
func TestScatter(t *testing.T) {
	t.Parallel()
	sets := prepareClients(t, few(2, 5))
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != distributionKind.name {
				long(t)
			}
			registries := startRegistries(t, kind, splitReplicas)
			gateways := splitGateways(t, registries)
			via := roamingFront(t, gatewayAddresses(gateways))
			for _, set := range sets {
				t.Run(set.client.name, func(t *testing.T) { set.need(t); scatterRun(t, set, via, registries) })
			}
			healed := 0.
			for _, g := range gateways {
				healed += g.metricOrZero(t, "fairlead_proxy_healed_total", `result="copied"`)
			}
			t.Logf("figure: %.0f blobs were brought to where their manifests went", healed)
			if healed == 0 {
				t.Error("nothing was scattered: this shows nothing")
			}
		})
	}
}

// roamingFront gives every connection to the next gateway, from the next region: whichever two follow each other, both
// differ.
func roamingFront(t testing.TB, gateways []string) front {
	var n atomic.Uint64
	return connectionFront(t, "127.0.1.1", func(ctx context.Context) (net.Conn, error) {
		turn := n.Add(1)
		client := fmt.Sprintf("127.0.%d.7", 1+turn%uint64(len(splitNetworks)))
		return from(client).DialContext(ctx, "tcp", gateways[turn%uint64(len(gateways))])
	})
}

func scatterRun(t *testing.T, set *clientSet, via front, registries []*registry) {
	var all sync.WaitGroup
	failed, damaged := atomic.Int32{}, atomic.Int32{}
	for i, img := range set.images {
		all.Go(func() {
			repository := fmt.Sprintf("%s/scattered-%d", set.client.name, i)
			if _, err := set.push(t, img, via.address+"/"+repository+":"+imageTag); err != nil {
				failed.Add(1)
				t.Logf("%s: %v", repository, err)
				return
			}
			h, err := whereIs(registries, repository, imageTag)
			must(t, err)
			if len(h.owners) == 0 || len(h.missing) > 0 {
				damaged.Add(1)
				t.Errorf("%s: manifest on %v, missing there: %v", repository, h.owners, h.missing)
			}
		})
	}
	all.Wait()
	t.Logf("figure: %d pushes: %d failed, %d damaged", len(set.images), failed.Load(), damaged.Load())
	if failed.Load() > 0 {
		t.Error("pushes failed")
	}
}
