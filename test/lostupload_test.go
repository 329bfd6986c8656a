package test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// uploadMoments are when the replica of an upload dies, beside its client's next request.
var uploadMoments = []string{"POST", "half of PATCH", "PATCH", "PUT"}

// TestLostUpload: a registry is killed while pushes to it have come as far as each of the moments above. Clients that
// try nothing twice end with whole images on another replica, and have noticed nothing.
func TestLostUpload(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	g := startAlone(t, splitReplicas, registries, func(f *file) { f.here, f.replication = "westus", "" })
	var pushes []*lostPush
	killed := make(chan bool)
	var here, all sync.WaitGroup
	for i := range few(1, 5) * len(uploadMoments) {
		p := newLostPush(t, i, g)
		pushes = append(pushes, p)
		here.Add(1)
		p.wait = sync.OnceFunc(func() { here.Done(); <-killed })
		all.Go(func() {
			defer p.wait() // where it has failed before
			p.err = p.run()
		})
	}
	here.Wait()
	registries[0].kill()
	close(killed)
	all.Wait()
	for _, p := range pushes {
		h, err := whereIs(registries[1:], p.repository, "v1")
		switch {
		case p.err != nil:
			t.Errorf("after %s: %v", p.moment, p.err)
		case err != nil || len(h.owners) != 1 || len(h.missing) > 0:
			t.Errorf("after %s: on %v, missing there %v: %v", p.moment, h.owners, h.missing, err)
		}
		for _, blob := range p.blobs {
			r := registries[1+slices.IndexFunc(registries[1:], func(r *registry) bool {
				return len(h.owners) == 0 || r.name == h.owners[0]
			})]
			if err := getBlob(r.url(), p.repository, descriptorOf(blob)); err != nil {
				t.Errorf("after %s, from %s: %v", p.moment, r.name, err)
			}
		}
	}
	count := func(why string) float64 {
		return g.metricOrZero(t, "fairlead_proxy_uploads_begun_again_total", `why="`+why+`"`)
	}
	t.Logf("figure: a registry killed in the middle of %d pushes of clients that try nothing twice: %d ended whole on another one, 0 damaged; %v uploads were begun again empty and %v from what was kept, and %v blobs were put again",
		len(pushes), len(pushes), count("empty"), count("kept"), count("committed"))
	if count("empty") == 0 || count("kept") == 0 || count("committed") == 0 {
		t.Error("that shows nothing")
	}
}

// lostPush is one of two blobs and a manifest, that waits at its moment in the middle of the second blob.
type lostPush struct {
	repository, moment string
	gateway            *gateway
	client             *http.Client
	blobs              [][]byte
	wait               func()
	err                error
}

func newLostPush(t *testing.T, i int, g *gateway) *lostPush {
	layer := make([]byte, 400<<10)
	_, _ = rand.Read(layer)
	return &lostPush{
		repository: fmt.Sprintf("lost-upload-%d", i), moment: uploadMoments[i%len(uploadMoments)], gateway: g,
		client: newRegional(t, 1, g).http, blobs: [][]byte{fmt.Appendf(nil, `{"number": %d}`, i), layer},
	}
}

func descriptorOf(blob []byte) descriptor {
	return descriptor{Digest: digestOf(blob), Size: int64(len(blob))}
}

func (p *lostPush) run() error {
	config, layer := p.blobs[0], p.blobs[1]
	if err := pushBlob(p.client, p.gateway.url(), p.repository, config); err != nil {
		return err
	}
	at, err := p.send(http.MethodPost, "/v2/"+p.repository+"/blobs/uploads/", nil, http.StatusAccepted)
	p.reached("POST")
	if err == nil {
		at, err = p.send(http.MethodPatch, at, layer, http.StatusAccepted)
	}
	p.reached("PATCH")
	if err == nil {
		_, err = p.send(http.MethodPut, at+"&digest="+digestOf(layer), nil, http.StatusCreated)
	}
	p.reached("PUT")
	if err == nil {
		_, err = do(p.client, http.MethodPut, p.gateway.url()+"/v2/"+p.repository+"/manifests/v1", typeManifest,
			p.manifest(), http.StatusCreated)
	}
	return err
}

func (p *lostPush) manifest() []byte {
	config, layer := descriptorOf(p.blobs[0]), descriptorOf(p.blobs[1])
	config.MediaType, layer.MediaType = typeConfig, typeLayer
	manifest, _ := json.Marshal(document{
		SchemaVersion: 2, MediaType: typeManifest, Config: &config, Layers: []descriptor{layer},
	})
	return manifest
}

func (p *lostPush) reached(moment string) {
	if p.moment == moment {
		p.wait()
	}
}

// send tries once. A body may stop in its middle until the registry is killed.
func (p *lostPush) send(method, path string, body []byte, want int) (location string, err error) {
	half := len(body) / 2
	rest := readerFunc(func(b []byte) (int, error) { p.reached("half of PATCH"); return 0, io.EOF })
	from := io.MultiReader(bytes.NewReader(body[:half]), rest, bytes.NewReader(body[half:]))
	request, err := http.NewRequest(method, p.gateway.url()+path, from)
	if err != nil {
		return "", err
	}
	request.ContentLength = int64(len(body))
	if len(body) == 0 {
		request.Body = http.NoBody
	}
	response, err := p.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != want {
		return "", fmt.Errorf("%s %s: status %d, want %d", method, path, response.StatusCode, want)
	}
	return response.Header.Get("Location"), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
