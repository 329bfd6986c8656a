package test

import (
	"encoding/json"
	"fmt"
	"testing"
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

// TestEmptiedWhileNoGatewayRan: a registry has lost all it had while the gateway was stopped. It is Ready once it is
// filled, and not before.
func TestEmptiedWhileNoGatewayRan(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas[:2])
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: splitReplicas[0].name, health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas: withUpstreams(splitReplicas[:2], registries), replication: copyAll, state: t.TempDir(),
	})
	const images = 3
	for i := range images {
		reference := fmt.Sprintf("%s/app-%d:%s", g.listen, i, imageTag)
		must(t, cranePush(t, newImage(t, "amd64"), reference))
		if out, code := fairlead(t, "wait", reference, "--replicas", "all", "--timeout", patient(startBound).String(),
			"--admin", "http://"+g.admin); code != 0 {
			t.Fatalf("wait: exit code %d: %s", code, out)
		}
	}
	g.kill()
	registries[1].kill()
	registries[1].restart()
	again := startGateway(t, "gateway-again", "127.0.0.1", g.file)
	waitFor(t, moveBound, "the emptied registry to be filled", func() error {
		var status struct {
			Replicas []struct{ Replica, State string }
		}
		again.adminJSON(t, "/replication", &status) // before its registry is asked
		lacks := 0
		for i := range images {
			path := fmt.Sprintf("%s/v2/app-%d/manifests/%s", registries[1].url(), i, imageTag)
			if code, _, err := get(path, manifestTypes); err != nil || code != 200 {
				lacks++
			}
		}
		for _, r := range status.Replicas {
			if r.Replica == splitReplicas[1].name && r.State == "Ready" && lacks == 0 {
				return nil
			} else if r.Replica == splitReplicas[1].name && r.State == "Ready" {
				t.Errorf("Ready, and lacks %d of %d", lacks, images)
			}
		}
		return fmt.Errorf("%+v, lacks %d", status, lacks)
	})
}
