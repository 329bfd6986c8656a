package test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// TestRecord: what was pushed and deleted is known to all gateways, also after all of them were killed. What is older,
// or was deleted, still stands on some registries, and is not given out.
func TestRecord(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int, f *file) {
		f.state, f.health = t.TempDir(), "{interval: 1s, timeout: 1s, fronts: false}"
	})
	config := []byte("{}")
	older := encode(t, document{SchemaVersion: 2, MediaType: typeManifest,
		Config: &descriptor{MediaType: typeConfig, Digest: digestOf(config), Size: int64(len(config))},
		Layers: []descriptor{}})
	newer := append(older[:len(older)-1:len(older)-1], `,"annotations":{"now":"newer"}}`...)
	for _, r := range registries {
		must(t, r.putBlob("app", config))
		must(t, r.put("/v2/app/manifests/v1", typeManifest, older))
	}
	ask := func(g *gateway, path string, status int, digest string) error {
		code, got, err := g.head(path)
		if err == nil && (code != status || digest != "" && got != digest) {
			err = fmt.Errorf("%s: %s is %d %s, not %d %s", g.name, path, code, got, status, digest)
		}
		return err
	}
	becomes := func(path string, status int, digest string) { // word of it is under way
		t.Helper()
		for _, g := range gateways {
			waitFor(t, startBound, "news", func() error { return ask(g, path, status, digest) })
		}
	}
	is := func(path string, status int, digest string) {
		t.Helper()
		for _, g := range gateways {
			if err := ask(g, path, status, digest); err != nil {
				t.Error(err)
			}
		}
	}
	killAll := func() {
		for _, g := range gateways {
			g.kill()
		}
	}
	restartAll := func(down ...string) {
		t.Helper()
		for _, g := range gateways {
			g.restart()
		}
		for _, g := range gateways {
			waitFor(t, startBound, "the probes", func() error {
				if got := g.down(t); !slices.Equal(got, down) {
					return fmt.Errorf("%v down, not %v", got, down)
				}
				return nil
			})
		}
	}
	const tag = "/v2/app/manifests/v1"

	_, err := newRegional(t, 1, gateways[0]).send(http.MethodPut, tag, typeManifest, newer, http.StatusCreated)
	must(t, err)
	owner := registries[slices.IndexFunc(registries, func(r *registry) bool {
		code, _, err := get(r.url()+"/v2/app/manifests/"+digestOf(newer), manifestTypes)
		return err == nil && code == http.StatusOK
	})]
	becomes(tag, http.StatusOK, digestOf(newer))

	killAll()
	owner.kill()
	restartAll(owner.name)
	is(tag, http.StatusServiceUnavailable, "")
	owner.restart()
	becomes(tag, http.StatusOK, digestOf(newer))

	other := registries[(slices.Index(registries, owner)+1)%len(registries)]
	other.kill()
	for _, g := range gateways {
		waitFor(t, startBound, "the probes", func() error {
			if got := g.down(t); !slices.Equal(got, []string{other.name}) {
				return fmt.Errorf("%v down", got)
			}
			return nil
		})
	}
	gone := "/v2/app/manifests/" + digestOf(older)
	_, err = newRegional(t, 1, gateways[0]).send(http.MethodDelete, gone, "", nil, http.StatusAccepted)
	must(t, err)
	becomes(gone, http.StatusNotFound, "")
	killAll()
	other.restart()
	restartAll()
	is(gone, http.StatusNotFound, "")
	waitFor(t, startBound, "the deletion to come to who was away", func() error {
		code, _, err := get(other.url()+gone, manifestTypes)
		if err == nil && code != http.StatusNotFound {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
	is(tag, http.StatusOK, digestOf(newer))
}

// head asks about a manifest.
func (g *gateway) head(path string) (code int, digest string, err error) {
	request, err := http.NewRequest(http.MethodHead, g.url()+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Header = manifestTypes
	response, err := plain.Do(request)
	if err != nil {
		return 0, "", err
	}
	response.Body.Close()
	return response.StatusCode, response.Header.Get("Docker-Content-Digest"), nil
}
