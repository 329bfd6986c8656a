package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// maxHealingMemory is a gateway's memory for copies, however large they are.
const maxHealingMemory = 32 << 10 // KiB

// TestHealLarge: a layer is on a sibling when its manifest comes to the owner. FAIRLEAD_HEAL_MIB is the layer's size.
func TestHealLarge(t *testing.T) {
	t.Parallel()
	size := int64(healMiB(t)) << 20
	registries := startRegistries(t, distributionKind, splitReplicas)
	g := startProgram(t, built(t, shippedProgram), "gateway", "127.0.0.1", file{
		health: "{fronts: false}", networks: splitNetworks, replicas: withUpstreams(splitReplicas, registries),
	})
	const repository = "heal/large"
	owner, sibling := registries[1], registries[0] // the client is near the former
	layer := streamBlob(t, sibling.url(), repository, size)

	client := newRegional(t, 2, g)
	if _, err := client.push(t, repository, "small", nil); err != nil {
		t.Fatal(err)
	}
	before, began := g.peakKiB(t), time.Now()
	manifest := encode(t, document{SchemaVersion: 2, MediaType: typeManifest, Config: &layer,
		Layers: []descriptor{layer}})
	waitFor(t, healBound, "the manifest to be taken", func() error {
		_, err := client.send(http.MethodPut, "/v2/"+repository+"/manifests/large", typeManifest, manifest,
			http.StatusCreated)
		return err // a broken connection while the layer is on its way
	})
	took, grown := time.Since(began), g.peakKiB(t)-before
	t.Logf("figure: %d MiB healed in %v, the gateway's peak of memory from %d to %d MiB", size>>20,
		took.Round(time.Millisecond), before>>10, (before+grown)>>10)
	if grown > maxHealingMemory {
		t.Errorf("healing took %d KiB of memory", grown)
	}
	if n := g.metric(t, "fairlead_proxy_healed_total", `result="copied"`); n != 1 {
		t.Errorf("%v parts were copied", n)
	}
	at := "/v2/" + repository + "/blobs/" + layer.Digest
	response, err := plain.Head(owner.url() + at) // it has verified the digest
	must(t, err)
	response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ContentLength != size {
		t.Errorf("the owner has status %d, %d bytes", response.StatusCode, response.ContentLength)
	}
}

// healBound is for slow disks: two registries write and read back all of the layer.
const healBound = 10 * time.Minute

func healMiB(t testing.TB) int {
	if given := os.Getenv("FAIRLEAD_HEAL_MIB"); given != "" {
		n, err := strconv.Atoi(given)
		must(t, err)
		return n
	}
	return 64
}

// streamBlob pushes size random bytes that are never in memory.
func streamBlob(t testing.TB, base, repository string, size int64) descriptor {
	t.Helper()
	client := &http.Client{Timeout: healBound}
	send := func(method, url string, body io.Reader, length int64, want int) string {
		t.Helper()
		request, err := http.NewRequest(method, url, body)
		must(t, err)
		request.ContentLength = length
		request.Header.Set("Content-Type", "application/octet-stream")
		response, err := client.Do(request)
		must(t, err)
		defer response.Body.Close()
		if response.StatusCode != want {
			t.Fatalf("%s %s: status %d", method, url, response.StatusCode)
		}
		return response.Header.Get("Location")
	}
	sum := sha256.New()
	content := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sum)
	at := send(http.MethodPost, base+"/v2/"+repository+"/blobs/uploads/", http.NoBody, 0, http.StatusAccepted)
	at = send(http.MethodPatch, at, content, size, http.StatusAccepted)
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	send(http.MethodPut, fmt.Sprintf("%s&digest=%s", at, digest), bytes.NewReader(nil), 0, http.StatusCreated)
	return descriptor{MediaType: typeLayer, Digest: digest, Size: size}
}
