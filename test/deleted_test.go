package test

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDeletedBlobs: blobs are deleted at random moments within a second of their push, while they are copied. From then
// on no gateway gives them out, and in the end no replica has them. FAIRLEAD_DELETED_BLOBS is how many; with it each
// kind of registry takes part, of gateways that know each other and that do not, and the last look is a minute later.
func TestDeletedBlobs(t *testing.T) {
	t.Parallel()
	few := 20
	blobs := number(t, "FAIRLEAD_DELETED_BLOBS", few)
	kinds, clustered := []registryKind{distributionKind}, []bool{true}
	if blobs != few {
		kinds, clustered = []registryKind{distributionKind, debianKind, memoryKind}, []bool{true, false}
	}
	for _, kind := range kinds {
		for _, known := range clustered {
			t.Run(fmt.Sprintf("%s, clustered %v", kind.name, known), func(t *testing.T) {
				registries := startRegistries(t, kind, splitReplicas)
				gateways := startCopying(t, registries, known)
				var clients []regional
				for i, g := range gateways {
					clients = append(clients, newRegional(t, i+1, g))
				}
				var all sync.WaitGroup
				var mu sync.Mutex
				var paths []string
				shown := 0
				for worker := range 4 {
					all.Go(func() {
						for n := worker; n < blobs; n += 4 {
							client := clients[n%len(clients)]
							path, err := client.pushAndDelete(fmt.Sprintf("gone-%d", n%3), 3<<10<<mathrand.IntN(13))
							if err != nil {
								t.Error(err)
								return
							}
							mu.Lock()
							paths = append(paths, path)
							mu.Unlock()
							for _, c := range clients {
								if !known && c.gateway != client.gateway {
									continue
								}
								if _, err := c.send(http.MethodHead, path, "", nil, http.StatusNotFound); err != nil {
									mu.Lock()
									shown++
									mu.Unlock()
									t.Errorf("right after: %v", err)
								}
							}
						}
					})
				}
				all.Wait()
				gone := func() error { return goneEverywhere(registries, paths) }
				waitFor(t, startBound, "all to be gone everywhere", gone)
				if blobs != few {
					<-time.After(time.Minute)
				}
				for _, c := range clients {
					for _, path := range paths {
						if _, err := c.send(http.MethodHead, path, "", nil, http.StatusNotFound); err != nil {
							t.Error(err)
						}
					}
				}
				if err := gone(); err != nil {
					t.Error("they have come back: ", err)
				}
				t.Logf("figure: %d blobs deleted, shown after that %d times", len(paths), shown)
			})
		}
	}
}

// startCopying starts gateways that know each other, or two that do not.
func startCopying(t testing.TB, registries []*registry, known bool) (gateways []*gateway) {
	t.Helper()
	if known {
		return startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })
	}
	for _, r := range splitReplicas[:2] {
		gateways = append(gateways, startGateway(t, "gateway-"+r.name, "127.0.0.1", file{
			here: r.name, health: "{fronts: false}", networks: splitNetworks,
			replicas: withUpstreams(splitReplicas, registries), replication: copyAll,
		}))
	}
	return gateways
}

// pushAndDelete deletes the blob within a second of its push.
func (c regional) pushAndDelete(repository string, size int) (path string, err error) {
	content := make([]byte, size)
	_, _ = rand.Read(content)
	if err := c.pushBlob(repository, content); err != nil {
		return "", err
	}
	<-time.After(mathrand.N(time.Second))
	path = "/v2/" + repository + "/blobs/" + digestOf(content)
	_, err = c.send(http.MethodDelete, path, "", nil, http.StatusAccepted)
	return path, err
}

func goneEverywhere(registries []*registry, paths []string) error {
	var there []error
	for _, r := range registries {
		for _, path := range paths {
			code, _, err := get(r.url()+path, nil)
			if err == nil && code != http.StatusNotFound {
				err = fmt.Errorf("%s: %s: status %d", r.name, path, code)
			}
			if err != nil {
				there = append(there, err)
			}
		}
	}
	return errors.Join(there...)
}

// TestDeletedTag: a tag that regctl has deleted is gone everywhere, also from registries that delete no tags, and what
// it named stays. What regctl puts under the tag to delete it nobody gets, and nobody is told of.
func TestDeletedTag(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{debianKind, distributionKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != debianKind.name {
				long(t)
			}
			registries := startRegistries(t, kind, splitReplicas)
			hook := newReceiver(t, fine).open()
			gateways := startCluster(t, registries, func(_ int, f *file) {
				f.replication = copyAll
				f.webhooks = "webhooks_private: true\nwebhooks:\n" + hook.hook("deletions", "")
			})
			client := newRegional(t, 1, gateways[0])
			of, _, err := client.pushLayers(t, "app", "v1", "amd64", 1, 3<<10)
			must(t, err)
			body, _, err := getManifest(gateways[0].url(), "app", "v1")
			must(t, err)
			for _, tag := range []string{"v2", "v3"} {
				_, err = client.send(http.MethodPut, "/v2/app/manifests/"+tag, typeManifest, body, http.StatusCreated)
				must(t, err)
			}
			for _, tag := range []string{"v1", "v2", "v3"} {
				waitFor(t, startBound, tag+" to be everywhere",
					func() error { return wholeEverywhere(t, registries, "app", tag, of.Digest) })
			}
			for _, tag := range []string{"v1", "v2"} {
				_, err = regctl(t, gateways[1].listen+"/app", "tag", "delete", gateways[1].listen+"/app:"+tag)
				must(t, err)
			}
			waitFor(t, startBound, "the tags to be gone everywhere", func() error {
				for _, r := range registries {
					for _, tag := range []string{"v1", "v2"} {
						if got, err := r.tagged("app", tag); got != "" || err != nil {
							return fmt.Errorf("%s: %s is %s, %w", r.name, tag, got, err)
						}
					}
				}
				return nil
			})
			must(t, wholeEverywhere(t, registries, "app", "v3", of.Digest))
			waitFor(t, startBound, "nothing to be left to do", func() error {
				for _, g := range gateways {
					if n := g.metricOrZero(t, "fairlead_replication_pending") +
						g.metricOrZero(t, "fairlead_replication_failures_given_up"); n > 0 {
						return fmt.Errorf("%s: %v", g.name, n)
					}
				}
				return nil
			})
			hook.mu.Lock()
			defer hook.mu.Unlock()
			for _, r := range hook.list {
				if r.Action == "delete" || !strings.Contains(r.body, of.Digest) {
					t.Errorf("told of %s", r.body)
				}
			}
			if len(hook.list) == 0 {
				t.Error("nobody is told of anything")
			}
		})
	}
}
