package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDamaged: a bit flips on a registry's disk. The first client that pulls the blob is cut off, all others get it
// elsewhere, and the operator hears of it. To push it again mends nothing; to do so where its file is gone does.
func TestDamaged(t *testing.T) {
	t.Parallel()
	const repository, size = "damaged/app", 4<<20 + 1
	program := built(t, registryProgram)
	replicas := splitReplicas[:2]
	var registries []*registry
	var disks []string
	for _, r := range replicas {
		disk := filepath.Join(t.TempDir(), "data")
		disks = append(disks, disk)
		registries = append(registries,
			startDistributionOn(t, disk, r.name, freeAddress(t, "127.0.0.1"), program, ""))
	}
	var layer descriptor
	for _, r := range registries {
		layer = streamBlob(t, r.url(), repository, size)
	}
	g := startGateway(t, "gateway", "127.0.0.1", file{
		here: replicas[0].name, health: "{fronts: false}", replicas: withUpstreams(replicas, registries),
	})
	near, far := replicas[0].name, replicas[1].name
	data := blobFile(disks[0], layer.Digest)
	flipBit(t, data)

	pulls := func(host, by string) {
		t.Helper()
		answered, got, err := pullBlob(g, host, repository, layer.Digest)
		switch {
		case !strings.HasPrefix(answered, by+"; "):
			t.Errorf("answered by %s, want %s: %v", answered, by, err)
		case err != nil || digestOf(got) != layer.Digest:
			t.Errorf("%s: %d bytes, %v", answered, len(got), err)
		}
	}
	isCut := func(host string) {
		t.Helper()
		answered, got, err := pullBlob(g, host, repository, layer.Digest)
		if !strings.HasPrefix(answered, near+"; ") || err == nil || len(got) >= size {
			t.Errorf("%s: %d bytes of %d, %v", answered, len(got), size, err)
		}
	}
	isCut("")
	for range 5 {
		pulls("", far)
	}
	if n := g.metric(t, "fairlead_proxy_damaged_blobs_total", `replica="`+near+`"`); n != 1 {
		t.Errorf("%v damaged blobs were counted", n)
	}
	if n := g.metric(t, "fairlead_proxy_hashed_bytes_total"); n != 2*size {
		t.Errorf("%v bytes were hashed, want each replica's %d once", n, size)
	}
	var list []struct{ Replica, Repository, Digest string }
	g.adminJSON(t, "/damaged", &list)
	if len(list) != 1 || list[0].Replica != near || list[0].Repository != repository || list[0].Digest != layer.Digest {
		t.Errorf("/damaged has %+v", list)
	}
	log := g.output()
	if n := strings.Count(log, "has a blob damaged"); n != 1 || !strings.Contains(log, layer.Digest) {
		t.Errorf("the log says so %d times:\n%s", n, tail(log, 10))
	}

	streamBlob(t, registries[0].url(), repository, size)
	isCut(near + "." + hostname)
	must(t, os.Remove(data))
	streamBlob(t, registries[0].url(), repository, size)
	pulls(near+"."+hostname, near)
	pulls("", near)
	g.adminJSON(t, "/damaged", &list)
	if len(list) != 0 {
		t.Errorf("/damaged has %+v after it was mended", list)
	}
}

// pullBlob is what a client gets that asks by a host, the gateway's own if that is "".
func pullBlob(g *gateway, host, repository, digest string) (answered string, content []byte, err error) {
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/v2/%s/blobs/%s", g.url(), repository, digest), nil)
	if err != nil {
		return "", nil, err
	}
	request.Host = host
	client := &http.Client{Timeout: patient(time.Minute)}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	content, err = io.ReadAll(response.Body)
	return response.Header.Get("Fairlead-Replica"), content, err
}

// blobFile is where distribution keeps a blob.
func blobFile(disk, digest string) string {
	_, sum, _ := strings.Cut(digest, ":")
	return filepath.Join(disk, "docker/registry/v2/blobs/sha256", sum[:2], sum, "data")
}

func flipBit(t testing.TB, name string) {
	t.Helper()
	content, err := os.ReadFile(name)
	must(t, err)
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(name, content, 0o600))
}
