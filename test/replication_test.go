package test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// copyAll is the key replication of a file as it is without it.
const copyAll = "{}"

// TestReplication: what is pushed through one gateway is whole on every replica, and is not seen on any before it is
// whole.
func TestReplication(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{distributionKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != distributionKind.name {
				long(t)
			}
			registries := startRegistries(t, kind, splitReplicas)
			gateways := startCluster(t, registries, func(_ int, f *file) { f.replication = copyAll })
			client := newRegional(t, 1, gateways[0])
			for round := range 3 {
				repository := fmt.Sprintf("team/app-%d", round)
				size := 0
				var children []descriptor
				for _, architecture := range []string{"amd64", "arm64"} {
					child, bytes, err := client.pushLayers(t, repository, "", architecture, 4, 512<<10)
					must(t, err)
					size += bytes
					children = append(children, child)
				}
				index := encode(t, document{SchemaVersion: 2, MediaType: typeIndex, Manifests: children})
				_, err := client.send(http.MethodPut, "/v2/"+repository+"/manifests/v1", typeIndex, index,
					http.StatusCreated)
				must(t, err)
				size += len(index)
				waitFor(t, startBound, "the image to be whole everywhere",
					func() error { return wholeEverywhere(t, registries, repository, "v1", digestOf(index)) })
				sent := make([]int, len(registries))
				for i, r := range registries {
					sent[i] = sentTo(t, gateways, splitReplicas[i].name)
					if most := size * (round + 1) * 102 / 100; sent[i] > most {
						t.Errorf("%s was sent %d bytes of %d images, which have at most %d", r.name, sent[i], round+1,
							most)
					}
				}
				t.Logf("figure: image of %d bytes, sent so far %v", size, sent)
			}
			mounts(t, client, registries, gateways)
		})
	}
}

// mounts: a layer that a replica has in another repository is not sent again.
func mounts(t *testing.T, client regional, registries []*registry, gateways []*gateway) {
	layer := make([]byte, 1<<20)
	_, _ = rand.Read(layer)
	config := []byte("{}")
	doc := document{SchemaVersion: 2, MediaType: typeManifest,
		Layers: []descriptor{{MediaType: typeLayer, Digest: digestOf(layer), Size: int64(len(layer))}}}
	doc.Config = &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))}
	manifest := encode(t, doc)
	for _, repository := range []string{"base/first", "base/second"} {
		before := sentTo(t, gateways, "")
		for _, blob := range [][]byte{layer, config} {
			must(t, client.pushBlob(repository, blob))
		}
		_, err := client.send(http.MethodPut, "/v2/"+repository+"/manifests/v1", typeManifest, manifest,
			http.StatusCreated)
		must(t, err)
		waitFor(t, startBound, repository+" to be whole everywhere",
			func() error { return wholeEverywhere(t, registries, repository, "v1", digestOf(manifest)) })
		if after := sentTo(t, gateways, ""); repository == "base/second" && after-before > len(layer)/2 {
			t.Errorf("%d bytes were sent for what was there", after-before)
		}
	}
}

// sentTo is how many bytes were sent to a replica; "" is to all.
func sentTo(t testing.TB, gateways []*gateway, replica string) (bytes int) {
	labels := []string{}
	if replica != "" {
		labels = append(labels, fmt.Sprintf("replica=%q", replica))
	}
	for _, g := range gateways {
		bytes += int(g.metricOrZero(t, "fairlead_replication_sent_bytes_total", labels...))
	}
	return bytes
}

// wholeEverywhere is nil when all have the image. A tag of what is not whole fails the test at once.
func wholeEverywhere(t testing.TB, registries []*registry, repository, tag, digest string) error {
	t.Helper()
	for _, r := range registries {
		switch missing, err := lacks(r, repository, tag); {
		case err != nil:
			return fmt.Errorf("%s: %w", r.name, err)
		case len(missing) > 0:
			t.Fatalf("%s shows %s:%s, and lacks %v", r.name, repository, tag, missing)
		}
		if got, err := r.tagged(repository, tag); err != nil || got != digest {
			return fmt.Errorf("%s: %s:%s is %s, %w", r.name, repository, tag, got, err)
		}
	}
	return nil
}

// tagged is the digest that a tag has on a registry, "" if it has none.
func (r *registry) tagged(repository, reference string) (digest string, err error) {
	body, _, err := getManifest(r.url(), repository, reference)
	if errors.Is(err, errNotFound) {
		return "", nil
	}
	return digestOf(body), err
}

// pushLayers pushes an image with random layers. Without a tag it is pushed by its digest.
func (c regional) pushLayers(t testing.TB, repository, tag, architecture string, layers, size int) (of descriptor,
	bytes int, err error) {
	t.Helper()
	doc := document{SchemaVersion: 2, MediaType: typeManifest, Layers: []descriptor{}}
	add := func(mediaType string, content []byte) (descriptor, error) {
		bytes += len(content)
		return descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))},
			c.pushBlob(repository, content)
	}
	for range layers {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		layer, err := add(typeLayer, content)
		if err != nil {
			return of, bytes, err
		}
		doc.Layers = append(doc.Layers, layer)
	}
	config, err := add(typeConfig, []byte(fmt.Sprintf(`{"architecture":%q,"os":"linux","author":"%s %s %s"}`,
		architecture, repository, tag, rand.Text())))
	if err != nil {
		return of, bytes, err
	}
	doc.Config = &config
	manifest := encode(t, doc)
	of = descriptor{MediaType: typeManifest, Digest: digestOf(manifest), Size: int64(len(manifest))}
	if tag == "" {
		tag = of.Digest
	}
	_, err = c.send(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, typeManifest, manifest, http.StatusCreated)
	return of, bytes + len(manifest), err
}

func (c regional) pushBlob(repository string, content []byte) error {
	location, err := c.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	location = strings.TrimPrefix(location, c.gateway.url()) // registries themselves say it in full
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	_, err = c.send(http.MethodPut, location+separator+"digest="+digestOf(content), "application/octet-stream", content,
		http.StatusCreated)
	return err
}

// TestReplicaAway: a replica is away while others get images, new ones under old tags, and deletions. When it has come
// back it has what they have; what was deleted is never given out by anybody.
func TestReplicaAway(t *testing.T) {
	t.Parallel()
	images := number(t, "FAIRLEAD_AWAY_IMAGES", few(12, 60))
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) {
		f.replication, f.state, f.health = copyAll, t.TempDir(), "{interval: 1s, timeout: 1s, fronts: false}"
	})
	var clients []regional
	for i, g := range gateways {
		clients = append(clients, newRegional(t, i+1, g))
	}
	away := registries[2]
	tags := newTagTable()
	path := func(n int, reference string) string { return fmt.Sprintf("/v2/away-%d/manifests/%s", n%10, reference) }
	push := func(via, n int) {
		tag := fmt.Sprintf("v%d", n)
		of, _, err := clients[via].pushLayers(t, fmt.Sprintf("away-%d", n%10), tag, "amd64", 1, 1<<10)
		must(t, err)
		tags.set(n, of.Digest)
	}
	remove := func(via, n int) {
		digest := tags.get(n)
		_, err := clients[via].send(http.MethodDelete, path(n, digest), "", nil, http.StatusAccepted)
		must(t, err)
		tags.delete(n)
	}
	old := images / 3
	for n := range old {
		push(n%3, n)
	}
	settled := func() error { return tags.compare(registries) }
	waitFor(t, startBound, "what was pushed first to be everywhere", settled)
	away.kill()
	for _, g := range gateways {
		waitFor(t, startBound, "the probes", func() error {
			if got := g.down(t); !slices.Equal(got, []string{away.name}) {
				return fmt.Errorf("%v down", got)
			}
			return nil
		})
	}
	var work sync.WaitGroup // some at a time, each tag by one
	for worker := range 4 {
		work.Go(func() {
			for n := range images {
				switch via := worker % 2; {
				case n%4 != worker:
				case n >= old || n%3 == 0:
					push(via, n) // new, or retagged
				case n%3 == 1:
					remove(via, n)
				}
				if n%4 == worker && n >= old && n%10 == 7 {
					remove(worker%2, n)
				}
			}
		})
	}
	work.Wait()
	if t.Failed() {
		return
	}
	watching := make(chan struct{})
	stop := sync.OnceFunc(func() { close(watching) })
	defer stop()
	var asked, reappeared atomic.Int64
	var watch sync.WaitGroup
	for _, c := range clients {
		watch.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				for _, gone := range tags.deleted() {
					select {
					case <-watching:
						return
					case <-pace.C:
					}
					for _, reference := range []string{gone.digest, fmt.Sprintf("v%d", gone.n)} {
						asked.Add(1)
						if code, _, err := c.gateway.head(path(gone.n, reference)); err == nil &&
							code == http.StatusOK {
							reappeared.Add(1)
							t.Logf("%s is given out again by %s", path(gone.n, reference), c.gateway.name)
						}
					}
				}
			}
		})
	}
	began := time.Now()
	away.restart()
	waitFor(t, time.Duration(images)*time.Second+startBound, "the replica to have what it missed", settled)
	took := time.Since(began)
	stop()
	watch.Wait()
	t.Logf("figure: away while %d images were pushed, retagged or deleted; %d deleted ones asked for %d times meanwhile, given out %d times; the same everywhere %v after its return",
		images, len(tags.deleted()), asked.Load(), reappeared.Load(), took.Round(100*time.Millisecond))
	if reappeared.Load() > 0 || asked.Load() == 0 {
		t.Error("what was deleted has reappeared")
	}
}

// tagTable is what TestReplicaAway has pushed and deleted: v1 to vN, in ten repositories.
type tagTable struct {
	mu   sync.Mutex
	tags map[int]string // Guarded by mu; "" is a deleted one
	gone []deletedTag   // Guarded by mu.
}

type deletedTag struct {
	n      int
	digest string
}

func newTagTable() *tagTable { return &tagTable{tags: map[int]string{}} }

func (s *tagTable) set(n int, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[n] = digest
}

func (s *tagTable) get(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[n]
}

func (s *tagTable) delete(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = append(s.gone, deletedTag{n, s.tags[n]})
	s.tags[n] = ""
}

func (s *tagTable) deleted() []deletedTag {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.gone)
}

// compare asks all registries directly. Deleted content must be gone from each.
func (s *tagTable) compare(registries []*registry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range registries {
		for n, want := range s.tags {
			repository, tag := fmt.Sprintf("away-%d", n%10), fmt.Sprintf("v%d", n)
			if got, err := r.tagged(repository, tag); err != nil || got != want {
				return fmt.Errorf("%s: %s:%s is %q, not %q: %w", r.name, repository, tag, got, want, err)
			}
			if want == "" {
				continue
			}
			if missing, err := lacks(r, repository, tag); err != nil || len(missing) > 0 {
				return fmt.Errorf("%s: %s:%s lacks %v: %w", r.name, repository, tag, missing, err)
			}
		}
		for _, g := range s.gone {
			if got, err := r.tagged(fmt.Sprintf("away-%d", g.n%10), g.digest); err != nil || got != "" {
				return fmt.Errorf("%s still has %s: %w", r.name, g.digest, err)
			}
		}
	}
	return nil
}
