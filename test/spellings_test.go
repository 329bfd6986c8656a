package test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestSpellings: what is not exactly a path and a method of the spec changes nothing on a registry, whatever that makes
// of it. The same requests sent to a registry itself show that some take them.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, kind := range []registryKind{olaregKind, distributionKind, debianKind, memoryKind} {
		t.Run(kind.name, func(t *testing.T) {
			if kind.name != olaregKind.name {
				long(t)
			}
			t.Parallel()
			lone := kind.start(t, "direct", freeAddress(t, "127.0.0.1"))
			registries := startRegistries(t, kind, splitReplicas[:2])
			g := startAlone(t, splitReplicas[:2], registries, func(*file) {})
			client := newRegional(t, 1, g)
			s := newSpellings(t, client, registries)
			oddNames(t, client, registries)
			s.fill(t, direct(t, lone))
			for _, p := range s.paths(t, registries[0]) {
				if changed := s.send(t, client, p, registries); changed != "" {
					t.Errorf("%s through the gateway:%s", p, changed)
				}
			}
			var took []string
			s.before = nil
			for _, p := range s.paths(t, lone) {
				if s.send(t, direct(t, lone), p, []*registry{lone}) != "" {
					took = append(took, p)
					s.fill(t, direct(t, lone))
					s.before = nil
				}
			}
			t.Logf("figure: the registry itself takes writes by %d of these: %v", len(took), took)
			if len(took) == 0 {
				t.Error("the registry itself takes none: the requests show nothing")
			}
		})
	}
}

// oddNames: a repository may bear the words that end a name. What is pushed there is guarded, and copied.
func oddNames(t *testing.T, client regional, registries []*registry) {
	t.Helper()
	for _, name := range []string{"x/blobs/uploads", "x/blobs/uploads/y", "x/manifests/y", "x/tags/list",
		"blobs/uploads"} {
		if _, err := sendFrom("127.0.0.1", http.MethodPost, registries[0].url()+"/v2/"+name+"/blobs/uploads/", nil,
			http.StatusAccepted); err != nil {
			t.Logf("no repository can be called %s here: %v", name, err)
			continue
		}
		of, _, err := client.pushLayers(t, name, "v1", "amd64", 1, 1<<10)
		must(t, err)
		for _, r := range registries {
			waitFor(t, startBound, name+" on "+r.name, func() error {
				if got, err := r.tagged(name, "v1"); err != nil || got != of.Digest {
					return fmt.Errorf("%q, %v", got, err)
				}
				return nil
			})
		}
		incomplete := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
			Layers: []descriptor{{MediaType: typeLayer, Digest: digestOf([]byte("no" + name)), Size: 2}}})
		if _, err := client.send(http.MethodPut, "/v2/"+name+"/manifests/incomplete", typeManifest, incomplete,
			http.StatusBadRequest); err != nil {
			t.Errorf("a manifest without its layer: %v", err)
		}
	}
}

// spellings are two images of one repository: v1 has the first, and the manifest of the second is what is sent.
type spellings struct {
	blobs         map[string][]byte
	first, second []byte
	before        map[string]string // seen last
}

func newSpellings(t *testing.T, client regional, registries []*registry) *spellings {
	t.Helper()
	s := &spellings{blobs: map[string][]byte{}}
	layer := func(content string) descriptor {
		s.blobs[digestOf([]byte(content))] = []byte(content)
		return descriptor{MediaType: typeLayer, Digest: digestOf([]byte(content)), Size: int64(len(content))}
	}
	config := layer("{}")
	config.MediaType = typeConfig
	image := func(content string) []byte {
		return encode(t, document{SchemaVersion: 2, MediaType: typeManifest, Config: &config,
			Layers: []descriptor{layer(content)}})
	}
	s.first, s.second = image("first"), image("second")
	s.fill(t, client)
	for _, r := range registries {
		waitFor(t, startBound, "the image on "+r.name, func() error {
			if got, err := r.tagged("app", "v1"); err != nil || got != digestOf(s.first) {
				return fmt.Errorf("%q, %v", got, err)
			}
			return nil
		})
	}
	return s
}

func (s *spellings) fill(t *testing.T, client regional) {
	t.Helper()
	for _, content := range s.blobs {
		must(t, client.pushBlob("app", content))
	}
	_, err := client.send(http.MethodPut, "/v2/app/manifests/v1", typeManifest, s.first, http.StatusCreated)
	must(t, err)
}

// paths are those that are nearly the spec's, of the repository and of an upload that was begun at the registry.
func (s *spellings) paths(t *testing.T, r *registry) []string {
	t.Helper()
	blob := "/blobs/" + slices.Sorted(maps.Keys(s.blobs))[0]
	digest := digestOf(s.second)
	all := []string{
		"/v2/app/manifests/v1/", "/v2/app/manifests/v2/", "/v2/app/Manifests/v1", "/v2/app/MANIFESTS/v2",
		"/V2/app/manifests/v1",
		"/v2/app/manifests/" + digest + "/", "/v2/app/manifests/" + strings.ToUpper(digest), "/v2/app/manifests/v1@" +
			digest,
		"/v2/app/manifests/.v1", "/v2/app/manifests/-v1", "/v2/app/manifests/v1;x", "/v2/app/manifests/v1%3Bx",
		"/v2/app/manifests/v1%3Fx", "/v2/app/manifests/v1%20",
		"/v2/app/manifests/" + strings.Repeat("v", 129), "/v2/app/manifests/sha256:1", "/v2/app/manifests/v1/more",
		"/v2/app/manifests/", "/v2/app/manifests",
		"/v2/app//manifests/v1", "/v2//app/manifests/v1", "/v2/./app/manifests/v1", "/v2/x/../app/manifests/v1",
		"/v2/x/%2e%2e/app/manifests/v1",
		"/v2/x/..%2fapp/manifests/v1", "/v2/app%252Fmanifests/v1", "/v2/app\\manifests\\v1",
		"/v2/App/manifests/v1", "/v2/A/app/manifests/v1", "/v2/localhost:5000/app/manifests/v1",
		"/v2/app-/manifests/v1", "/v2/a..b/manifests/v1", "/v2/_app/manifests/v1",
		"/v2/app" + blob + "/", "/v2/app" + strings.ToUpper(blob), "/v2/app/blobs/" + digest[len("sha256:"):],
		"/v2/A/app/blobs/uploads/?digest=" + digest, "/v2/App/blobs/uploads/?digest=" + digest,
		"/v2/app/Blobs/uploads/?digest=" + digest,
		"/v2/app/blobs/uploads//?digest=" + digest, "/v2/x%2Fblobs/uploads/1", "/v2/app/blobs/uploads/manifests/v1/",
		"/v2/app/blobs/uploads/Manifests/v1",
		"/v2/app/tags/list", "/v2/app/tags/v1", "/v2/app/tags/", "/v2/app/referrers/" + digest, "/v2/app", "/v2/app/",
		"/v2/", "/v2", "/v2/_catalog",
		"/v2/app/_catalog", "/v2/_oci/ext/discover", "/v2/app/_trust/tuf/root.json", "/v2/blobs/uploads/",
		"/v2/manifests/v1",
	}
	begun, err := sendFrom("127.0.0.1", http.MethodPost, r.url()+"/v2/app/blobs/uploads/", nil, http.StatusAccepted)
	must(t, err)
	upload := strings.TrimPrefix(begun, r.url())
	if upload += "?digest=" + digest; strings.Count(upload, "?") > 1 {
		upload = strings.TrimSuffix(upload, "?digest="+digest) + "&digest=" + digest
	}
	return append(all, strings.Replace(upload, "/app/", "/App/", 1), strings.Replace(upload, "/blobs/", "/Blobs/", 1),
		strings.Replace(upload, "/app/blobs/", "/app%2Fblobs/", 1), strings.Replace(upload, "/app/", "/A/app/", 1))
}

// send sends the path by every method that changes something, or that somebody may take for one, and returns what is
// another on the registries afterwards.
func (s *spellings) send(t *testing.T, to regional, path string, registries []*registry) (changed string) {
	t.Helper()
	if s.before == nil {
		s.before = s.seen(t, registries)
	}
	for _, method := range []string{"POST", "PATCH", "PUT", "put", "Put", "PROPPATCH", "DELETE", "delete"} {
		request, err := http.NewRequest(method, to.gateway.url(), bytes.NewReader(s.second))
		must(t, err)
		request.URL.Opaque, request.URL.RawQuery, _ = strings.Cut(path, "?") // as it stands
		request.Header.Set("Content-Type", typeManifest)
		request.Header.Set("X-HTTP-Method-Override", "PUT")
		response, err := to.http.Do(request)
		if err != nil {
			continue // a registry may break off
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	after := s.seen(t, registries)
	for what, was := range s.before {
		if is := after[what]; is != was {
			changed += fmt.Sprintf("\n%s: from %q to %q", what, was, is)
		}
	}
	s.before = after
	return changed
}

// seen is what the registries say of themselves: tags, and whether there are blobs and manifests, in every repository
// that somebody may read out of the paths.
func (s *spellings) seen(t *testing.T, registries []*registry) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for _, r := range registries {
		for _, name := range []string{"app", "App", "A/app", "localhost:5000/app", "app-", "a..b", "_app", "x",
			"x/blobs", "app/blobs/uploads", "app/blobs/uploads/manifests", "app/manifests"} {
			paths := []string{"/tags/list", "/blobs/" + digestOf(s.second)}
			if name == "app" {
				paths = append(paths, "/manifests/v1", "/manifests/"+digestOf(s.first),
					"/manifests/"+digestOf(s.second))
				for digest := range s.blobs {
					paths = append(paths, "/blobs/"+digest)
				}
			}
			for _, p := range paths {
				code, body, err := get(r.url()+"/v2/"+name+p, manifestTypes)
				must(t, err)
				if code != http.StatusOK {
					body = nil
				}
				seen[r.name+" "+name+p] = fmt.Sprint(code, " ", string(body))
			}
		}
	}
	return seen
}
