package test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Each writer has a repository and some tags, one of which it writes in each turn. Each tag is written by one writer
// and through one gateway, blobs through any.
const (
	writersEach = 2 // by gateway
	writerTags  = 6
)

// writerTurn is how long a turn takes, at least.
func writerTurn() time.Duration { return time.Duration(few(200, 100)) * time.Millisecond }

// TestKilled: gateways are killed at random instants, one at a time, while clients push, retag and delete through all
// of them. What was acknowledged holds, and nothing has happened twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	kills := number(t, "FAIRLEAD_KILLS", few(2, 6))
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startClusterOf(t, built(t, shippedProgram), registries, func(_ int, f *file) {
		f.replication, f.state, f.health = copyAll, t.TempDir(), "{interval: 1s, timeout: 1s, fronts: false}"
		f.databases = []string{} // its start is measured as it is
	})
	var clients []regional
	for i, g := range gateways {
		clients = append(clients, newRegional(t, i+1, g))
	}
	var writers []*writer
	for n := range writersEach * len(gateways) {
		writers = append(writers, newWriter(t, fmt.Sprintf("killed-%d", n), clients, n%len(clients)))
	}
	var over atomic.Bool
	var work sync.WaitGroup
	defer work.Wait()
	defer over.Store(true)
	for _, w := range writers {
		work.Go(func() {
			pace := time.NewTicker(writerTurn())
			defer pace.Stop()
			for ; !over.Load(); <-pace.C {
				w.turn()
			}
		})
	}
	var took []time.Duration
	for range kills {
		g := gateways[rand.IntN(len(gateways))]
		<-time.After(rand.N(500 * time.Millisecond)) // the instant is random; nothing is waited for
		g.kill()
		took = append(took, startToAnswer(g))
	}
	over.Store(true)
	work.Wait()
	for _, w := range writers {
		work.Go(w.settle)
	}
	work.Wait()
	done := tally{}
	for _, w := range writers {
		done.add(w.done)
	}
	if done.pushed == 0 || done.retagged == 0 || done.deleted == 0 || done.failed == 0 {
		t.Errorf("%+v: that shows nothing", done)
	}
	began := time.Now()
	waitFor(t, time.Duration(kills)*time.Second+2*startBound, "what was acknowledged to be everywhere", func() error {
		for _, r := range registries {
			if err := holds(writers, r.url()); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return nil
	})
	settled := time.Since(began)
	wrong := 0
	for _, g := range gateways {
		if err := holds(writers, g.url()); err != nil {
			wrong++
			t.Errorf("%s: %v", g.name, err)
		}
		if n := g.metric(t, "fairlead_replication_conflicts_total"); n != 0 {
			t.Errorf("%s has counted %v conflicts, and each tag has one writer", g.name, n)
		}
	}
	slices.Sort(took)
	t.Logf("figure: %d times SIGKILL at a random instant under load: of %d pushes, %d retags and %d deletions that were acknowledged, with %d more that failed, all hold on %d replicas and through %d gateways (%d wrong), %v after the last one",
		kills, done.pushed, done.retagged, done.deleted, done.failed, len(registries), len(gateways), wrong,
		settled.Round(100*time.Millisecond))
	t.Logf("figure: start to first answer of /v2/: median %v, 95 %% %v, longest %v",
		took[len(took)/2].Round(time.Millisecond), took[len(took)*95/100].Round(time.Millisecond),
		took[len(took)-1].Round(time.Millisecond))
}

// startToAnswer starts a gateway again, and waits until it is ready.
func startToAnswer(g *gateway) time.Duration {
	began := time.Now()
	answered := make(chan time.Duration)
	go func() {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for time.Since(began) < patient(startBound) {
			if code, _, err := get(g.url()+"/v2/", nil); err == nil && code == http.StatusOK {
				break
			}
			<-look.C
		}
		answered <- time.Since(began)
	}()
	g.restart()
	return <-answered
}

// writer is a client, and what it knows about its repository.
type writer struct {
	t          testing.TB
	repository string
	clients    []regional
	via        int // of them, for manifests
	turns      int
	done       tally

	// By tag, the digests that it may have now, "" for none: the last acknowledged, and what was tried since.
	tags map[string][]string
	// By digest, what is in a manifest that was acknowledged, and that nobody has tried to delete since.
	kept map[string][]byte
	// Digests whose deletion was acknowledged.
	gone map[string]bool
}

type tally struct{ pushed, retagged, deleted, failed int }

func (a *tally) add(b tally) {
	a.pushed, a.retagged, a.deleted, a.failed = a.pushed+b.pushed, a.retagged+b.retagged, a.deleted+b.deleted,
		a.failed+b.failed
}

func newWriter(t testing.TB, repository string, clients []regional, via int) *writer {
	w := &writer{t: t, repository: repository, clients: clients, via: via, tags: map[string][]string{},
		kept: map[string][]byte{}, gone: map[string]bool{}}
	for n := range writerTags {
		w.tags[fmt.Sprintf("v%d", n)] = []string{""}
	}
	return w
}

// turn does one thing with the tag whose turn it is.
func (w *writer) turn() {
	w.turns++
	tag := fmt.Sprintf("v%d", w.turns%writerTags)
	has := w.tags[tag]
	digest := has[0]
	sure := len(has) == 1 && digest != "" && w.kept[digest] != nil
	switch n := rand.IntN(8); {
	case n == 0 && sure:
		w.removeTag(tag)
	case n <= 2 && sure:
		w.removeDigest(digest)
	case n <= 4 && sure:
		w.put(fmt.Sprintf("v%d", (w.turns+1)%writerTags), digest, w.kept[digest], &w.done.retagged)
	default:
		w.push(tag)
	}
}

func (w *writer) send(method, reference string, body []byte, want int) error {
	_, err := w.clients[w.via].send(method, "/v2/"+w.repository+"/manifests/"+reference, typeManifest, body, want)
	if err != nil {
		w.done.failed++
	}
	return err
}

func (w *writer) push(tag string) {
	through := w.clients[rand.IntN(len(w.clients))]
	config := []byte(fmt.Sprintf(`{"architecture":"amd64","os":"linux","author":"%s %d"}`, w.repository, w.turns))
	if through.pushBlob(w.repository, config) != nil {
		w.done.failed++
		return
	}
	manifest := encode(w.t, document{
		SchemaVersion: 2, MediaType: typeManifest, Layers: []descriptor{},
		Config: &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
	})
	w.put(tag, digestOf(manifest), manifest, &w.done.pushed)
}

func (w *writer) put(tag, digest string, manifest []byte, done *int) {
	if w.send(http.MethodPut, tag, manifest, http.StatusCreated) != nil {
		w.may(tag, digest)
		return
	}
	*done++
	w.tags[tag], w.kept[digest] = []string{digest}, manifest
}

// may notes what a tag may have, too, after something that failed.
func (w *writer) may(tag, digest string) {
	if !slices.Contains(w.tags[tag], digest) {
		w.tags[tag] = append(w.tags[tag], digest)
	}
}

func (w *writer) removeTag(tag string) {
	if w.send(http.MethodDelete, tag, nil, http.StatusAccepted) != nil {
		w.may(tag, "")
		return
	}
	w.done.deleted++
	w.tags[tag] = []string{""}
}

// settle writes those tags again of which it does not know what became of the last try, as clients do that got no
// answer: a gateway that is killed after a replica took a write, and before it is recorded, leaves it on that replica
// alone.
func (w *writer) settle() {
	for tag, may := range w.tags {
		for tries := 0; len(may) > 1 && tries < 20; tries++ {
			w.turns++
			w.push(tag)
			may = w.tags[tag]
		}
	}
}

// removeDigest takes a manifest with all tags that name it.
func (w *writer) removeDigest(digest string) {
	err := w.send(http.MethodDelete, digest, nil, http.StatusAccepted)
	delete(w.kept, digest)
	for tag, has := range w.tags {
		if slices.Contains(has, digest) {
			w.may(tag, "")
		}
		if err == nil {
			w.tags[tag] = slices.DeleteFunc(w.tags[tag], func(d string) bool { return d == digest })
		}
	}
	if err == nil {
		w.done.deleted++
		w.gone[digest] = true
	}
}

// holds is nil if all that was acknowledged is so at a registry or gateway.
func holds(writers []*writer, base string) error {
	at := &registry{address: base[len("http://"):]}
	errs := make([]error, len(writers))
	var all sync.WaitGroup
	for i, w := range writers {
		all.Go(func() { errs[i] = w.holds(at) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *writer) holds(at *registry) error {
	for tag, may := range w.tags {
		got, err := at.tagged(w.repository, tag)
		switch {
		case err != nil:
			return err
		case !slices.Contains(may, got):
			return fmt.Errorf("%s:%s is %q, not one of %q", w.repository, tag, got, may)
		}
	}
	for digest := range w.kept {
		if got, err := at.tagged(w.repository, digest); err != nil || got != digest {
			return fmt.Errorf("%s lacks %s: %v", w.repository, digest, err)
		}
	}
	for digest := range maps.Keys(w.gone) {
		if got, err := at.tagged(w.repository, digest); err != nil || got != "" {
			return fmt.Errorf("%s still has %s, which was deleted: %v", w.repository, digest, err)
		}
	}
	return nil
}
