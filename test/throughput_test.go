package test

import (
	"crypto/rand"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestThroughput measures how fast what is pushed comes to the other replicas, beside what regctl and skopeo need to
// copy the same. FAIRLEAD_REPLICATION_MIB is the size of the image; its figures are in docs/benchmarks.md. It fails
// only if something is not whole, or is sent more often than once.
func TestThroughput(t *testing.T) {
	t.Parallel()
	long(t)
	const layers = 10
	mib := number(t, "FAIRLEAD_REPLICATION_MIB", 20)
	rounds := number(t, "FAIRLEAD_REPLICATION_ROUNDS", 1)
	layer := mib << 20 / layers
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) {
		f.replication, f.health = copyAll, "{interval: 1s, timeout: 1s, fronts: false}"
	})
	peer := distributionKind.start(t, "peer", freeAddress(t, registries[1].ip()))
	client := newRegional(t, 1, gateways[0])
	client.http.Timeout = 10 * time.Minute
	took := map[string][]time.Duration{}
	note := func(what string, d time.Duration) { took[what] = append(took[what], d) }
	for n := range rounds {
		repository := fmt.Sprintf("large-%d", n)
		before := sentTo(t, gateways, "")
		of, size, err := client.pushLayers(t, repository, "v1", "amd64", layers, layer)
		must(t, err)
		began := time.Now()
		tagEverywhere(t, registries, repository, of.Digest)
		note("after its push, until whole everywhere", time.Since(began))
		must(t, wholeEverywhere(t, registries, repository, "v1", of.Digest))
		if sent := sentTo(t, gateways, "") - before; sent > 2*size*102/100 {
			t.Errorf("%d bytes were sent for two copies of %d", sent, size)
		}
		source := registries[0].address + "/" + repository + ":v1"
		for _, tool := range []struct {
			name string
			copy func(t testing.TB, from, to string) error
		}{{"regctl", regctlCopy}, {"skopeo", skopeoCopy}} {
			if _, err := exec.LookPath(tool.name); err != nil && tool.name == "skopeo" && !inCI() {
				t.Log("SKIPPED: skopeo is not installed; test/install-clients.sh installs it on Debian")
				continue
			}
			began := time.Now()
			if err := tool.copy(t, source, peer.address+"/"+tool.name+"/"+repository+":v1"); err != nil {
				t.Logf("%s: %v", tool.name, err)
				continue
			}
			note(tool.name+", all of it", time.Since(began))
		}
		note("one layer alone, to one registry by GET and PUT", oneLayer(t, peer, layer, fmt.Sprintf("alone-%d", n)))
		alone, _, err := client.pushLayers(t, repository+"-last", "v1", "amd64", 1, layer)
		must(t, err)
		began = time.Now()
		tagEverywhere(t, registries, repository+"-last", alone.Digest)
		note("after the push of one layer alone, until whole everywhere", time.Since(began))
		note("a replica that was away, from the first byte", backfill(t, client, registries, gateways,
			fmt.Sprintf("back-%d", n), layers, layer))
	}
	for what, times := range took {
		slices.Sort(times)
		t.Logf("figure: %d MiB in %d layers: %s: median %v of %v", mib, layers, what,
			times[len(times)/2].Round(time.Millisecond), times)
	}
}

// tagEverywhere waits closely: a replica's tag comes last.
func tagEverywhere(t testing.TB, registries []*registry, repository, digest string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		have := 0
		for _, r := range registries {
			if got, err := r.tagged(repository, "v1"); err == nil && got == digest {
				have++
			}
		}
		if have == len(registries) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d have %s:v1", have, repository)
		}
	}
}

// oneLayer is how long it takes to read a layer and to write it elsewhere, as fast as it goes.
func oneLayer(t testing.TB, r *registry, size int, repository string) time.Duration {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content)
	must(t, r.putBlob(repository, content))
	began := time.Now()
	response, err := plain.Get(r.url() + "/v2/" + repository + "/blobs/" + digestOf(content))
	must(t, err)
	defer response.Body.Close()
	must(t, r.putStream(repository+"-copy", response.Body, int64(size), digestOf(content)))
	return time.Since(began)
}

// backfill is how long a replica needs that was away while an image was pushed, once it gets anything.
func backfill(t testing.TB, client regional, registries []*registry, gateways []*gateway, repository string, layers,
	size int) time.Duration {
	t.Helper()
	away := registries[2]
	away.kill()
	for _, g := range gateways {
		waitFor(t, startBound, "the probes", func() error {
			if got := g.down(t); !slices.Equal(got, []string{away.name}) {
				return fmt.Errorf("%v down", got)
			}
			return nil
		})
	}
	of, _, err := client.pushLayers(t, repository, "v1", "amd64", layers, size)
	must(t, err)
	tagEverywhere(t, registries[:2], repository, of.Digest)
	before := sentTo(t, gateways, away.name)
	away.restart()
	for deadline := time.Now().Add(patient(startBound)); sentTo(t, gateways,
		away.name) == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing comes to who was away")
		}
	}
	began := time.Now()
	tagEverywhere(t, registries, repository, of.Digest)
	took := time.Since(began)
	must(t, wholeEverywhere(t, registries, repository, "v1", of.Digest))
	return took
}

func regctlCopy(t testing.TB, from, to string) error {
	_, err := regctl(t, to, "image", "copy", "--host", "reg="+from[:strings.IndexByte(from, '/')]+",tls=disabled", from,
		to)
	return err
}

func skopeoCopy(t testing.TB, from, to string) error {
	_, err := command(t, noCredentials(t), installed(t, "skopeo"), "--insecure-policy", "copy", "--quiet",
		"--src-tls-verify=false", "--dest-tls-verify=false",
		"docker://"+from, "docker://"+to)
	return err
}
