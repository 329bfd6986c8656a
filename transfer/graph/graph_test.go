package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// store is a registry that accepts manifests whose layers are missing.
type store struct {
	*httptest.Server
	t        *testing.T
	registry http.Handler

	mu    sync.Mutex
	log   []string                // Guarded by mu: requests but for GET and HEAD.
	fault func(*http.Request) int // Guarded by mu: a status to answer with, or 0. May be nil.
}

func newStore(t *testing.T, listsReferrers bool) *store {
	s := &store{t: t, registry: registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithReferrersSupport(listsReferrers))}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.log = append(s.log, r.Method+" "+r.URL.Path)
	}
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		if status := fault(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	s.registry.ServeHTTP(w, r)
}

func (s *store) breaks(fault func(*http.Request) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// take is what was written since it was last asked for.
func (s *store) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

func (s *store) repository(name, repository string) transfer.Repository {
	u, _ := url.Parse(s.URL)
	return transfer.Replica{Name: name, URL: u, Transport: s.Client().Transport}.Repository(repository)
}

func (s *store) put(path, mediaType string, content []byte) {
	s.t.Helper()
	method := http.MethodPut
	if strings.Contains(path, "/uploads/") {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(content))
	r.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	s.registry.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		s.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
}

// manifest stores one with all its blobs, which are their own content, by its digest and tags.
func (s *store) manifest(content []byte, blobs []string, tags ...string) []byte {
	s.t.Helper()
	for _, b := range blobs {
		s.put("/v2/old/app/blobs/uploads/?digest="+oci.Digest([]byte(b)), "application/octet-stream", []byte(b))
	}
	var doc struct{ MediaType string }
	_ = json.Unmarshal(content, &doc)
	for _, name := range append(tags, oci.Digest(content)) {
		s.put("/v2/old/app/manifests/"+name, doc.MediaType, content)
	}
	return content
}

func (s *store) get(path string) []byte {
	w := httptest.NewRecorder()
	s.registry.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		return nil
	}
	return w.Body.Bytes()
}

const typeImage = "application/vnd.oci.image.manifest.v1+json"

func of(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": oci.Digest(content), "size": len(content)}
}

func imageOf(subject []byte, blobs ...string) []byte {
	layers := []any{}
	for _, b := range blobs[1:] {
		layers = append(layers, of("application/vnd.oci.image.layer.v1.tar", []byte(b)))
	}
	doc := map[string]any{"schemaVersion": 2, "mediaType": typeImage,
		"config": of("application/vnd.oci.image.config.v1+json", []byte(blobs[0])), "layers": layers}
	if subject != nil {
		doc["subject"] = of(typeImage, subject)
		doc["artifactType"] = "application/vnd.example.sbom"
	}
	out, _ := json.Marshal(doc)
	return out
}

func indexOf(children ...[]byte) []byte {
	list := []any{}
	for _, c := range children {
		list = append(list, of(typeImage, c))
	}
	out, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
	return out
}

// album is an index of two images that share a layer, with a referrer, a signature of that, and a cosign tag.
type album struct {
	index    []byte
	has      []string // paths below the repository that must be there
	blobSize int64
}

func newAlbum(at *store, listed bool) album {
	layer := strings.Repeat("shared", 20_000)
	one, two := []string{"config 1", layer, "layer 1"}, []string{"config 2", layer, "layer 2"}
	a := album{index: indexOf(imageOf(nil, one...), imageOf(nil, two...))}
	at.manifest(imageOf(nil, one...), one)
	at.manifest(imageOf(nil, two...), two)
	at.manifest(a.index, nil, "v1")
	sbom := imageOf(a.index, "{}", "an sbom")
	at.manifest(sbom, []string{"{}", "an sbom"})
	signed := imageOf(sbom, "{}", "a signature of the sbom")
	at.manifest(signed, []string{"{}", "a signature of the sbom"})
	cosign := imageOf(nil, "cosign", "a signature")
	at.manifest(cosign, []string{"cosign", "a signature"}, tagOf(oci.Digest(a.index))+".sig")
	if !listed {
		at.manifest(indexOf(sbom), nil, tagOf(oci.Digest(a.index)))
		at.manifest(indexOf(signed), nil, tagOf(oci.Digest(sbom)))
	}
	blobs := map[string]bool{}
	for _, b := range slices.Concat(one, two,
		[]string{"{}", "an sbom", "a signature of the sbom", "cosign", "a signature"}) {
		if !blobs[b] {
			blobs[b] = true
			a.blobSize += int64(len(b))
			a.has = append(a.has, "/blobs/"+oci.Digest([]byte(b)))
		}
	}
	for _, m := range [][]byte{a.index, imageOf(nil, one...), imageOf(nil, two...), sbom, signed, cosign} {
		a.has = append(a.has, "/manifests/"+oci.Digest(m))
	}
	a.has = append(a.has, "/manifests/v2", "/manifests/latest", "/manifests/"+tagOf(oci.Digest(a.index))+".sig")
	return a
}

func (a album) completeAt(s *store, repository string) {
	s.t.Helper()
	for _, path := range a.has {
		if s.get("/v2/"+repository+path) == nil {
			s.t.Errorf("%s is missing", path)
		}
	}
}

// TestRun: with or without the referrers API on either side, all of it comes, the tags last, and a second run has
// nothing to do.
func TestRun(t *testing.T) {
	for _, c := range []struct{ from, to bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		from, to := newStore(t, c.from), newStore(t, c.to)
		a := newAlbum(from, c.from)
		run := func() *Copy {
			t.Helper()
			x := New(from.repository("source", "old/app"), to.repository("target", "new/app"), false)
			digest, err := x.Run(t.Context(), "v1", []string{"v2", "latest"})
			if err != nil || digest != oci.Digest(a.index) {
				t.Fatalf("%+v: %s, %v", c, digest, err)
			}
			return x
		}
		p := run().Progress()
		if p.Bytes != a.blobSize || p.Of != a.blobSize || p.Moved != a.blobSize || p.Blobs != p.Known || p.Found != 0 {
			t.Errorf("%+v: %+v, %d bytes", c, p, a.blobSize)
		}
		a.completeAt(to, "new/app")
		listed, err := to.repository("target", "new/app").Referrers(t.Context(), oci.Digest(a.index))
		byTag := to.get("/v2/new/app/manifests/" + tagOf(oci.Digest(a.index)))
		if err != nil || len(listed) != 1 && !bytes.Contains(byTag,
			[]byte(`"artifactType":"application/vnd.example.sbom"`)) {
			t.Errorf("%+v: its referrers are %v, %s, %v", c, listed, byTag, err)
		}
		log := to.take()
		if last := log[len(log)-2:]; !slices.Equal(last,
			[]string{"PUT /v2/new/app/manifests/v2", "PUT /v2/new/app/manifests/latest"}) {
			t.Errorf("%+v: last came %q", c, last)
		}
		p = run().Progress()
		if log := to.take(); len(log) != 0 || p.Moved != 0 || p.Found != p.Known || p.Bytes != p.Of {
			t.Errorf("%+v: a second time %+v, %q", c, p, log)
		}
	}
}

// at answers what ends so.
func at(suffix string, status int) func(*http.Request) int {
	return func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, suffix) {
			return status
		}
		return 0
	}
}

// TestInterrupted: what was copied is not copied again.
func TestInterrupted(t *testing.T) {
	from, to := newStore(t, true), newStore(t, true)
	a := newAlbum(from, true)
	x := func() *Copy {
		return New(from.repository("source", "old/app"), to.repository("target", "new/app"), false)
	}
	lacking := "/blobs/" + oci.Digest([]byte("an sbom"))
	from.breaks(at(lacking, http.StatusForbidden))
	if _, err := x().Run(t.Context(), "v1", []string{"v2", "latest"}); !transfer.Refused(err) {
		t.Fatal(err)
	}
	if to.get("/v2/new/app/manifests/v2") != nil {
		t.Error("the tag is there before the image is")
	}
	from.breaks(nil)
	again := x()
	if _, err := again.Run(t.Context(), "v1", []string{"v2", "latest"}); err != nil {
		t.Fatal(err)
	}
	a.completeAt(to, "new/app")
	if p := again.Progress(); p.Found == 0 || p.Moved >= a.blobSize {
		t.Errorf("%+v: nothing was kept", p)
	}
}

func TestConflict(t *testing.T) {
	from, to := newStore(t, true), newStore(t, true)
	newer, older := imageOf(nil, "newer"), imageOf(nil, "older")
	from.manifest(newer, []string{"newer"}, "v1")
	to.manifest(older, []string{"older"}, "v1")
	x := New(from.repository("source", "old/app"), to.repository("target", "old/app"), false)
	_, err := x.Run(t.Context(), "v1", []string{"v1"})
	if conflict := (*ConflictError)(nil); !errors.As(err, &conflict) || conflict.Tag != "v1" ||
		conflict.Digest != oci.Digest(older) || len(to.take()) != 0 {
		t.Errorf("%v", err)
	}
	x = New(x.from, x.to, true)
	if _, err := x.Run(t.Context(), oci.Digest(newer), []string{"v1"}); err != nil ||
		!bytes.Equal(to.get("/v2/old/app/manifests/v1"), newer) {
		t.Errorf("forced, and by digest: %v", err)
	}
}

// TestSharedLayer: a child that the source has only in part takes none of another one's layers along when it is left
// out.
func TestSharedLayer(t *testing.T) {
	from, to := newStore(t, true), newStore(t, true)
	lacking, complete := imageOf(nil, "config 1", "shared", "lost"), imageOf(nil, "config 2", "shared")
	from.manifest(lacking, []string{"config 1", "shared"})
	from.manifest(complete, []string{"config 2"})
	from.manifest(indexOf(lacking, complete), nil, "v1")
	began, first := make(chan struct{}), sync.Once{}
	from.breaks(func(r *http.Request) int {
		switch {
		case r.Method != http.MethodGet:
		case strings.HasSuffix(r.URL.Path, oci.Digest([]byte("shared"))):
			first.Do(func() { close(began); <-r.Context().Done() }) // until it is cut short
		case strings.HasSuffix(r.URL.Path, oci.Digest([]byte("lost"))),
			strings.HasSuffix(r.URL.Path, oci.Digest(complete)):
			<-began
		}
		return 0
	})
	x := New(from.repository("source", "old/app"), to.repository("target", "app"), false)
	_, err := x.Run(t.Context(), "v1", []string{"v1"})
	if transfer.At(err) != "target" || to.get("/v2/app/manifests/"+oci.Digest(complete)) == nil {
		t.Errorf("this target wants all of an index, and gets what there is: %v", err)
	}
	if p := x.Progress(); p.Known != p.Blobs+1 { // the lost one
		t.Errorf("%+v", p)
	}
}

// TestMissing: an index may name what its registry does not have, if the target takes it; an image may not.
func TestMissing(t *testing.T) {
	from, to := newStore(t, true), newStore(t, true)
	here, elsewhere := imageOf(nil, "here"), imageOf(nil, "elsewhere")
	from.manifest(here, []string{"here"})
	from.manifest(elsewhere, []string{"elsewhere"})
	from.manifest(indexOf(here, elsewhere), nil, "v1")
	from.breaks(at("/manifests/"+oci.Digest(elsewhere), http.StatusNotFound))
	from.manifest(imageOf(nil, "config", "lost"), []string{"config"}, "v2")
	x := func() *Copy {
		return New(from.repository("source", "old/app"), to.repository("target", "app"), false)
	}
	if _, err := x().Run(t.Context(), "v1", []string{"v1"}); transfer.At(err) != "target" ||
		to.get("/v2/app/manifests/"+oci.Digest(here)) == nil {
		t.Errorf("this target wants all of an index, and only it may say so: %v", err)
	}
	if _, err := x().Run(t.Context(), "v2", []string{"v2"}); !transfer.Missing(err) || transfer.At(err) != "source" ||
		to.get("/v2/app/manifests/v2") != nil {
		t.Errorf("an image without one of its layers: %v", err)
	}
	if _, err := x().Run(t.Context(), "v3", []string{"v3"}); !transfer.Missing(err) {
		t.Errorf("no such tag: %v", err)
	}
}

// TestUnseenTag: a registry may refuse what is not there yet, and then it is written; a tag that it goes on to refuse
// may be there.
func TestUnseenTag(t *testing.T) {
	const v1 = "/manifests/v1"
	for _, c := range []struct {
		name string
		tag  string // that is refused
		// what it is answered with, once something was written to the repository
		refused func(written bool, status int) int
		force   bool
		older   bool // it is there, with something else
		err     string
		put     bool
	}{
		{"as long as the repository is not there", v1, func(written bool, status int) int {
			if written {
				return 0
			}
			return status
		}, false, false, "", true},
		{"the same, and it is there", v1, func(written bool, status int) int {
			if written {
				return 0
			}
			return status
		}, false, true, "tag v1 exists already", false},
		{"always", v1, func(_ bool, status int) int { return status }, false, true,
			"whether tag v1 exists cannot be seen: target: GET: ", false},
		{"always, forced", v1, func(_ bool, status int) int { return status }, true, true, "", true},
		{"of a signature", ".sig", func(_ bool, status int) int { return status }, false, false,
			"sig exists cannot be seen", false},
	} {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
			from, to := newStore(t, true), newStore(t, true)
			newer, older, signature := imageOf(nil, "newer"), imageOf(nil, "older"), imageOf(nil, "signature")
			from.manifest(newer, []string{"newer"}, "v1")
			from.manifest(signature, []string{"signature"}, tagOf(oci.Digest(newer))+".sig")
			if c.older {
				to.manifest(older, []string{"older"}, "v1")
			}
			var written atomic.Bool
			to.breaks(func(r *http.Request) int {
				if r.Method == http.MethodPut || r.Method == http.MethodPost {
					written.Store(true)
				} else if strings.HasSuffix(r.URL.Path, c.tag) {
					return c.refused(written.Load(), status)
				}
				return 0
			})
			x := New(from.repository("source", "old/app"), to.repository("target", "old/app"), c.force)
			_, err := x.Run(t.Context(), "v1", []string{"v1"})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s, %d: %v", c.name, status, err)
			}
			if put := bytes.Equal(to.get("/v2/old/app/manifests/v1"), newer); put != c.put {
				t.Errorf("%s, %d: put is %v", c.name, status, put)
			}
		}
	}
}
