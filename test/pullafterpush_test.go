package test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
)

// TestPullAfterPush: what crane has pushed in one region, crane pulls in another one at once, by tag and by digest. The
// tag has been something else a moment before.
func TestPullAfterPush(t *testing.T) {
	t.Parallel()
	rounds := number(t, "FAIRLEAD_PULLS", few(2, 12))
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })
	failed, stale := 0, 0
	for n := range rounds {
		img := newImage(t, "amd64")
		reference := fmt.Sprintf("/app-%d", n%5)
		must(t, cranePush(t, img, gateways[n%3].listen+reference+":latest"))
		for _, by := range []string{":latest", "@" + img.digest} {
			from := gateways[(n+1)%3].listen + reference + by
			dir := filepath.Join(t.TempDir(), "pulled")
			if _, err := crane(t, "pull", "--format=oci", from, dir); err != nil {
				failed++
				t.Logf("%s: %v", from, err)
				continue
			}
			var index document
			must(t, json.Unmarshal([]byte(contentOf(filepath.Join(dir, "index.json"))), &index))
			if len(index.Manifests) != 1 || index.Manifests[0].Digest != img.digest {
				stale++
				t.Logf("%s: %v, not %s", from, index.Manifests, img.digest)
			}
		}
	}
	t.Logf("figure: %d pushes with crane in one region, each pulled with crane in another one at once by tag and by digest: %d not found, %d stale", rounds, failed, stale)
	if failed > 0 || stale > 0 {
		t.Error("a pull right after its push failed")
	}
}
