package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestEmptiedRegistry: a registry comes back under its name with nothing in it. Who asks where an image is, is told
// so, and who pulls gets it; then it is there again.
func TestEmptiedRegistry(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas[:2])
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: splitReplicas[0].name, health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas: withUpstreams(splitReplicas[:2], registries), replication: copyAll,
	})
	via := connectionFront(t, "127.0.1.1", dialAlways("127.0.1.7", g.listen))
	states := func(reference string) map[string]string {
		t.Helper()
		out, code := fairlead(t, "image", "show", reference, "-o", "json", "--admin", "http://"+g.admin)
		var image struct {
			Replicas []struct{ Replica, State string }
		}
		if err := json.Unmarshal([]byte(out), &image); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v: %s", code, err, out)
		}
		all := map[string]string{}
		for _, r := range image.Replicas {
			all[r.Replica] = r.State
		}
		return all
	}
	wait := func(reference string) {
		t.Helper()
		if out, code := fairlead(t, "wait", reference, "--replicas", "all", "--timeout", patient(startBound).String(),
			"--admin", "http://"+g.admin); code != 0 {
			t.Fatalf("wait: exit code %d: %s", code, out)
		}
	}
	for i, asked := range []string{"where it is", "for it"} {
		t.Run("asked "+asked, func(t *testing.T) {
			reference := fmt.Sprintf("app-%d:%s", i, imageTag)
			must(t, cranePush(t, newImage(t, "amd64"), via.address+"/"+reference))
			wait(reference)
			emptied, path := registries[i], fmt.Sprintf("/v2/app-%d/manifests/%s", i, imageTag)
			emptied.kill()
			emptied.restart()
			waitFor(t, startBound, "the registry to be up", func() error {
				if down := g.down(t); len(down) > 0 {
					return fmt.Errorf("%v down", down)
				}
				return nil
			})
			if i == 0 {
				if got := states(reference); got[splitReplicas[i].name] == "there" {
					t.Errorf("the emptied registry is said to have it: %v", got)
				}
			} else if code, _, err := get(fmt.Sprintf("http://%s%s", via.address, path), nil); err != nil ||
				code != 200 {
				t.Errorf("a pull meanwhile: %d, %v", code, err)
			}
			wait(reference)
			if code, _, err := get(emptied.url()+path, nil); err != nil || code != 200 {
				t.Errorf("wait has ended, and the registry answers %d, %v", code, err)
			}
		})
	}
}

// fleetOfTwo is a gateway before two replicas, both of which have some images.
func fleetOfTwo(t *testing.T, registries []*registry) (g *gateway, images []string) {
	t.Helper()
	g = startGateway(t, "gateway", "127.0.0.1", file{
		here: splitReplicas[0].name, health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas: withUpstreams(splitReplicas[:2], registries), replication: copyAll, state: t.TempDir(),
	})
	for i := range 3 {
		name := fmt.Sprintf("app-%d", i)
		reference := fmt.Sprintf("%s/%s:%s", g.listen, name, imageTag)
		must(t, cranePush(t, newImage(t, "amd64"), reference))
		if out, code := fairlead(t, "wait", reference, "--replicas", "all", "--timeout", patient(startBound).String(),
			"--admin", "http://"+g.admin); code != 0 {
			t.Fatalf("wait: exit code %d: %s", code, out)
		}
		images = append(images, name)
	}
	return g, images
}

// filled waits until the second replica, which is this registry now, is Ready. It has all images by then.
func filled(t *testing.T, g *gateway, emptied *registry, images []string) {
	t.Helper()
	waitFor(t, moveBound, "the empty registry to be filled", func() error {
		var status struct {
			Replicas []struct{ Replica, State string }
		}
		g.adminJSON(t, "/replication", &status) // before its registry is asked
		lacks := 0
		for _, name := range images {
			path := fmt.Sprintf("%s/v2/%s/manifests/%s", emptied.url(), name, imageTag)
			if code, _, err := get(path, manifestTypes); err != nil || code != 200 {
				lacks++
			}
		}
		for _, r := range status.Replicas {
			if r.Replica == splitReplicas[1].name && r.State == "Ready" && lacks == 0 {
				return nil
			} else if r.Replica == splitReplicas[1].name && r.State == "Ready" {
				t.Errorf("Ready, and lacks %d of %d", lacks, len(images))
			}
		}
		return fmt.Errorf("%+v, lacks %d", status, lacks)
	})
}

// TestEmptiedWhileNoGatewayRan: a registry has lost all it had while the gateway was stopped. It is Ready once it is
// filled, and not before.
func TestEmptiedWhileNoGatewayRan(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas[:2])
	g, images := fleetOfTwo(t, registries)
	g.kill()
	registries[1].kill()
	registries[1].restart()
	filled(t, startGateway(t, "gateway-again", "127.0.0.1", g.file), registries[1], images)
}

// TestUpstreamReplaced: the file gives a replica another registry, which is empty. It is Ready once that is filled, and
// not before, and whoever is nearest to it pulls all the while.
func TestUpstreamReplaced(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas[:3])
	g, images := fleetOfTwo(t, registries[:2])
	stop, done := make(chan struct{}), make(chan int, 1)
	end := sync.OnceValue(func() int { close(stop); return <-done })
	t.Cleanup(func() { end() })
	go func() {
		pulls := 0
		defer func() { done <- pulls }()
		client := &http.Client{Timeout: patient(startBound),
			Transport: &http.Transport{DialContext: from("127.0.2.7").DialContext}}
		for ; ; pulls++ {
			path := fmt.Sprintf("%s/v2/%s/manifests/%s", g.url(), images[pulls%len(images)], imageTag)
			if _, err := fetch(client, path, ""); err != nil {
				t.Errorf("pull %d: %v", pulls, err)
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	another := g.file
	another.replicas = slices.Clone(another.replicas)
	another.replicas[1].upstream = registries[2].url()
	g.edit(t, another.String(), "ok", false)
	filled(t, g, registries[2], images)
	t.Logf("figure: %d pulls meanwhile", end())
}
