package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// audited is what `fairlead audit -o json` prints.
type audited struct {
	Total, Remaining, Unsure int
	Differences              []struct{ Replica, Repository, Name, Reason, Outcome, Problem string }
	Problems                 []struct{ Replica, Repository, Text string }
}

// lines are the differences, in no order of theirs.
func (a audited) lines() (lines []string) {
	for _, d := range a.Differences {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", d.Reason, d.Replica, d.Repository, d.Name))
	}
	slices.Sort(lines)
	return lines
}

func (g *gateway) audit(t testing.TB, args ...string) (a audited, code int) {
	t.Helper()
	out, code := fairlead(t, append([]string{"audit", "--admin", "http://" + g.admin, "-o", "json"}, args...)...)
	if code != 0 { // what command returns then has the exit status in front
		_, rest, _ := strings.Cut(out, "{")
		out = "{" + rest
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&a); err != nil {
		t.Fatalf("%v: exit code %d: %s", err, code, out)
	}
	return a, code
}

// looked waits until the gateway has looked at all replicas for the first time.
func (g *gateway) looked(t testing.TB) {
	t.Helper()
	waitFor(t, startBound, g.name+" to have looked at all", func() error {
		if !strings.Contains(g.output(), "msg=\"an audit has ended\" replicas=") {
			return errors.New("not yet")
		}
		return nil
	})
}

// same waits until an audit finds nothing.
func (g *gateway) same(t testing.TB, args ...string) {
	t.Helper()
	waitFor(t, startBound, "an audit that finds nothing", func() error {
		a, code := g.audit(t, args...)
		if code != 0 || a.Total != 0 {
			return fmt.Errorf("exit code %d: %v %v", code, a.lines(), a.Problems)
		}
		return nil
	})
}

// direct goes to a registry, around all gateways.
func direct(t testing.TB, r *registry) regional {
	return newClient(t, "127.0.9.7", &gateway{file: file{listen: r.address}})
}

func startAlone(t testing.TB, replicas []replica, registries []*registry, change func(f *file)) *gateway {
	f := file{
		health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks,
		replicas:    withUpstreams(replicas, registries),
		replication: copyAll,
	}
	change(&f)
	return startGateway(t, "gateway", "127.0.0.1", f)
}

// TestAudit: what is changed on replicas behind the gateway's back is reported, as it is, and repaired.
func TestAudit(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != distributionKind.name {
				long(t)
			}
			t.Parallel()
			registries := startRegistries(t, kind, splitReplicas)
			g := startAlone(t, splitReplicas, registries, func(*file) {})
			g.looked(t)
			client := newRegional(t, 1, g)
			push := func(c regional, repository, tag string) descriptor {
				t.Helper()
				of, _, err := c.pushLayers(t, repository, tag, "amd64", 2, 10<<10)
				must(t, err)
				return of
			}
			east, west, europe := registries[1], registries[0], registries[2]
			lost, older, dead := push(client, "app", "lost"), push(client, "app", "moved"), push(client, "app", "dead")
			newer, incomplete, ours := push(client, "app", "moved"), push(client, "app", "incomplete"),
				push(client, "app", "ours")
			everywhere := func(repository, tag, digest string) {
				t.Helper()
				waitFor(t, startBound, tag+" everywhere",
					func() error { return wholeEverywhere(t, registries, repository, tag, digest) })
			}
			for tag, of := range map[string]descriptor{"lost": lost, "moved": newer, "dead": dead,
				"incomplete": incomplete,
				"ours":       ours} {
				everywhere("app", tag, of.Digest)
			}
			deadBody, _, err := getManifest(east.url(), "app", "dead")
			must(t, err)
			for _, name := range []string{"dead", dead.Digest} { // where tags are copies they stay behind
				_, err = client.send(http.MethodDelete, "/v2/app/manifests/"+name, "", nil, http.StatusAccepted)
				must(t, err)
			}
			gone := func() error {
				for _, r := range registries {
					for _, name := range []string{"dead", dead.Digest} {
						if digest, err := r.tagged("app", name); err != nil || digest != "" {
							return fmt.Errorf("%s has %s: %s, %w", r.name, name, digest, err)
						}
					}
				}
				return nil
			}
			waitFor(t, startBound, "a deletion everywhere", gone)
			g.same(t, "--deep")

			// Behind its back.
			behind := direct(t, east)
			if kind.name == memoryKind.name { // there tags are copies
				_, err = behind.send(http.MethodDelete, "/v2/app/manifests/lost", "", nil, http.StatusAccepted)
				must(t, err)
			}
			_, err = behind.send(http.MethodDelete, "/v2/app/manifests/"+lost.Digest, "", nil, http.StatusAccepted)
			must(t, err)
			olderBody, _, err := getManifest(west.url(), "app", older.Digest)
			must(t, err)
			must(t, east.put("/v2/app/manifests/moved", typeManifest, olderBody))
			must(t, east.put("/v2/app/manifests/dead", typeManifest, deadBody))
			_, doc, err := getManifest(east.url(), "app", "incomplete")
			must(t, err)
			_, err = behind.send(http.MethodDelete, "/v2/app/blobs/"+doc.Layers[0].Digest, "", nil, http.StatusAccepted)
			must(t, err)
			stray := push(direct(t, europe), "stray", "v1")
			theirs := push(direct(t, west), "app", "ours")

			want := []string{
				"incomplete eastus app " + incomplete.Digest, "missing eastus app lost", "out_of_band westus app ours",
				"stale eastus app moved",
				"undeleted eastus app dead", "undeleted eastus app " + dead.Digest, "unknown westeurope stray v1",
			}
			slices.Sort(want)
			if a, code := g.audit(t, "--deep"); code != 1 || !slices.Equal(a.lines(), want) {
				t.Errorf("exit code %d, %q, want %q", code, a.lines(), want)
			}
			if a, code := g.audit(t); code != 1 || !slices.Equal(a.lines(), want[1:]) {
				t.Errorf("not deep: exit code %d, %q, want %q", code, a.lines(), want[1:])
			}
			if a, code := g.audit(t, "--replica", "westus"); code != 1 || a.Total != 1 {
				t.Errorf("of one: exit code %d, %q", code, a.lines())
			}
			if a, code := g.audit(t, "--deep", "--repair"); code != 0 || !slices.Equal(a.lines(), want) {
				t.Errorf("repaired: exit code %d, %+v", code, a)
			}
			g.same(t, "--deep")
			for tag, of := range map[string]descriptor{"lost": lost, "moved": newer, "incomplete": incomplete,
				"ours": theirs} {
				everywhere("app", tag, of.Digest)
			}
			everywhere("stray", "v1", stray.Digest)
			must(t, gone())

			europe.kill()
			waitFor(t, startBound, "the probes", func() error {
				if got := g.down(t); !slices.Equal(got, []string{europe.name}) {
					return fmt.Errorf("%v down", got)
				}
				return nil
			})
			if a, code := g.audit(t); code != 2 || a.Unsure != 1 || a.Total != 0 {
				t.Errorf("one is down: exit code %d, %+v", code, a)
			}
		})
	}
	for _, args := range [][]string{{"--admin", "http://" + freeAddress(t, "127.0.0.1")}, {"-o", "xml"}, {"--colour"}} {
		if out, code := fairlead(t, append([]string{"audit"}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
}

// TestBackfill: what is on replicas before there is a gateway comes to all of them, and then to one that is new, also
// when the gateway is killed in the middle of it.
func TestBackfill(t *testing.T) {
	long(t)
	t.Parallel()
	four := append(slices.Clone(splitReplicas), replica{name: "canadacentral", place: "azure/canadacentral"})
	registries := startRegistries(t, distributionKind, four)
	const images = 18
	var digests []string
	size := 0
	for n := range images {
		of, bytes, err := direct(t, registries[n%3]).pushLayers(t, fmt.Sprintf("old-%d", n), "v1", "amd64", 2, 50<<10)
		must(t, err)
		digests, size = append(digests, of.Digest), size+bytes
	}
	whole := func(registries []*registry) error {
		for n, digest := range digests {
			if err := wholeEverywhere(t, registries, fmt.Sprintf("old-%d", n), "v1", digest); err != nil {
				return err
			}
		}
		return nil
	}
	state := t.TempDir()
	g := startAlone(t, splitReplicas, registries[:3], func(f *file) { f.state = state })
	waitFor(t, startBound, "what was there to be everywhere", func() error { return whole(registries[:3]) })
	g.same(t, "--deep")
	g.kill()

	g = startAlone(t, four, registries, func(f *file) {
		f.state, f.replication = state, fmt.Sprintf("{bandwidth: %d, concurrency: 1}", size/5)
	})
	has := func() (n int) {
		for i := range digests {
			if digest, err := registries[3].tagged(fmt.Sprintf("old-%d", i), "v1"); err == nil && digest != "" {
				n++
			}
		}
		return n
	}
	waitFor(t, startBound, "some of it to be on the new one", func() error {
		if has() < images/4 {
			return errors.New("not yet")
		}
		return nil
	})
	g.kill()
	before := has()
	if before == images {
		t.Fatal("it was not killed in the middle of it")
	}
	g.restart()
	waitFor(t, startBound, "all of it to be on the new one", func() error { return whole(registries) })
	g.same(t, "--deep")
	if sent := sentTo(t, []*gateway{g}, "canadacentral"); sent > size*(images-before+2)/images {
		t.Errorf("%d bytes of %d were sent after the restart, of what lacked %d of %d images", sent, size,
			images-before, images)
	}
	t.Logf("figure: a new replica was filled with %d images of %d bytes; killed when it had %d", images, size, before)
}
