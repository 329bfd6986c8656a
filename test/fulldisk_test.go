package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
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

// TestFullDiskIsNoticed: pulls go on at a registry whose disk is full, no push fails, and it takes pushes again by itself
// once there is room: as the next push finds out, or without any where writing is probed.
func TestFullDiskIsNoticed(t *testing.T) {
	t.Parallel()
	for name, health := range map[string]string{"by pushes": "{fronts: false}", "by probes": "{fronts: false, write: true}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			probed := strings.Contains(health, "write")
			data := tmpfs(t)
			full := startDistributionOn(t, data, "full", freeAddress(t, "127.0.0.1"), built(t, registryProgram), "")
			registries := append([]*registry{full}, startRegistries(t, distributionKind, splitReplicas[1:2])...)
			g := startGateway(t, "gateway", "127.0.0.1", file{
				health: health, networks: splitNetworks, replicas: withUpstreams(splitReplicas[:2], registries),
			})
			via := connectionFront(t, "127.0.1.1", dialAlways("127.0.1.7", g.listen))
			kept := []byte("was pushed before")
			must(t, full.putBlob("kept", kept))
			where := func(repository string, blob []byte) (names []string) {
				for i, r := range registries {
					if code, _, err := get(r.url()+"/v2/"+repository+"/blobs/"+digestOf(blob), nil); err == nil && code == http.StatusOK {
						names = append(names, splitReplicas[i].name)
					}
				}
				return names
			}
			writable := func(want float64) func() error {
				return func() error {
					if got := g.metric(t, "fairlead_replica_writable", `replica="westus"`); got != want {
						return fmt.Errorf("fairlead_replica_writable is %v", got)
					}
					return nil
				}
			}

			filler := filepath.Join(data, "all-the-rest")
			fillDisk(t, filler)
			for i := range 20 {
				repository, blob := fmt.Sprint("full/", i), fmt.Appendf(nil, "blob %d", i)
				must(t, pushBlob(plain, via.url(), repository, blob))
				if at := where(repository, blob); len(at) != 1 || at[0] != "eastus" {
					t.Errorf("%s is at %v", repository, at)
				}
			}
			must(t, writable(0)())
			if out, _ := g.asks(t, "replication", "status"); !strings.Contains(out, "westus takes no new pushes since") {
				t.Errorf("status: %s", out)
			}
			code, got, err := get(via.url()+"/v2/kept/blobs/"+digestOf(kept), nil)
			if err != nil || code != http.StatusOK || string(got) != string(kept) {
				t.Errorf("a pull from the full one: %d, %q, %v", code, got, err)
			}

			must(t, os.Remove(filler))
			began := time.Now()
			if probed {
				waitFor(t, time.Minute, "a probe to find room", writable(1))
			}
			n := 0
			waitFor(t, time.Minute, "a push to go there", func() error {
				n++
				repository, blob := fmt.Sprint("room/", n), fmt.Appendf(nil, "blob %d", n)
				must(t, pushBlob(plain, via.url(), repository, blob))
				if at := where(repository, blob); len(at) != 1 || at[0] != "westus" {
					return fmt.Errorf("%s is at %v", repository, at)
				}
				return writable(1)()
			})
			t.Logf("figure: it took pushes again %.1f s after there was room, %d pushes later", time.Since(began).Seconds(), n)
			if probed {
				if n != 1 {
					t.Errorf("%d pushes had to try", n)
				}
				checkNothingIsLeft(t, full, data)
			}
		})
	}
}

// checkNothingIsLeft: probes of writing leave no content behind, and no repository in the catalog.
func checkNothingIsLeft(t *testing.T, r *registry, data string) {
	t.Helper()
	_, catalog, err := get(r.url()+"/v2/_catalog", nil)
	if err != nil || strings.Contains(string(catalog), "fairlead") {
		t.Errorf("the catalog has %s, %v", catalog, err)
	}
	waitFor(t, startBound, "the probe's uploads to be gone", func() error {
		left, err := filepath.Glob(filepath.Join(data, "docker/registry/v2/repositories/fairlead-probe/_uploads/*/data"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%v are left", left)
		}
		return err
	})
	if _, err := os.Stat(filepath.Join(data, "docker/registry/v2/repositories/fairlead-probe")); err != nil {
		t.Errorf("nothing was probed: %v", err)
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
