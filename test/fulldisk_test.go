package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestFullDisk: the nearest registry's disk is full, and it says 500 to whoever pushes. Each push ends whole at
// another one.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	sets := prepareClients(t, few(1, number(t, "FAIRLEAD_FULL_PUSHES", 5)))
	data := tmpfs(t)
	full := startDistributionOn(t, data, "full", freeAddress(t, "127.0.0.1"), built(t, registryProgram), "")
	fillDisk(t, filepath.Join(data, "all-the-rest"))
	registries := append([]*registry{full}, startRegistries(t, distributionKind, splitReplicas[1:])...)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas, registries),
	})
	via := connectionFront(t, "127.0.1.1", dialAlways("127.0.1.7", g.listen))
	if code, _, err := get(full.url()+"/v2/", nil); err != nil || code != 200 {
		t.Fatalf("the full registry answers %d, %v", code, err)
	}
	for _, set := range sets {
		t.Run(set.client.name, func(t *testing.T) {
			set.need(t)
			var whole atomic.Int32
			for _, p := range set.pushAll(t, []front{via}) {
				if p.err != nil {
					t.Error(p.err)
					continue
				}
				at, err := whereIs(registries, p.repository, imageTag)
				must(t, err)
				if len(at.owners) != 1 || at.owners[0] == splitReplicas[0].name || len(at.missing) > 0 {
					t.Errorf("%s: on %v, missing there %v", p.repository, at.owners, at.missing)
					continue
				}
				whole.Add(1)
			}
			t.Logf("figure: %d of %d pushes whole elsewhere", whole.Load(), len(set.images))
		})
	}
}

// fillDisk writes until there is no room left.
func fillDisk(t testing.TB, file string) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(fmt.Errorf("filling a disk: %w", err))
		}
	}
}
