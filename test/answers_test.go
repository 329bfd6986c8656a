package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerReplicas: the client stands at the first, and what it asks for is at the second alone.
var answerReplicas = []replica{
	{name: "westus", place: "azure/westus", home: true},
	{name: "westeurope", place: "azure/westeurope"},
}

// TestAnswersOfRegistriesAsTheyAre: what a read is answered with while the nearest registry, or the one that has the
// content, behaves as some real ones do.
func TestAnswersOfRegistriesAsTheyAre(t *testing.T) {
	t.Parallel()
	img := newImage(t, "amd64")
	layer := img.doc.Layers[0].Digest
	reads := []string{"GET manifests/" + imageTag, "HEAD manifests/" + imageTag, "GET manifests/" + img.digest,
		"GET blobs/" + layer, "HEAD blobs/" + layer, "GET tags/list"}
	for _, test := range []struct {
		name         string
		near, holder quirk
		login        string
		status       int
		asks         []string
	}{
		{"404", refusesUnknown(http.StatusNotFound), none, "", http.StatusOK, reads},
		{"401 (Quay, Artifactory), to a client with a login", refusesUnknown(http.StatusUnauthorized), none, "Bearer x",
			http.StatusOK, reads},
		{"401, to anybody, of a registry that asks nobody for a login", refusesUnknown(http.StatusUnauthorized), none,
			"", http.StatusOK, reads},
		{"403 (GitLab, Harbor)", refusesUnknown(http.StatusForbidden), none, "", http.StatusOK, reads},
		{"401 everywhere: the challenge", refusesUnknown(http.StatusUnauthorized), refusesAll(http.StatusUnauthorized),
			"Bearer x", http.StatusUnauthorized, reads},
		{"a holder slower than a first byte may be", none, slowTo(""), "", http.StatusOK, reads[:4]},
		{"slow lists (Quay, Artifactory)", slowTo("/tags/list"), none, "", http.StatusOK, reads[5:]},
	} {
		t.Run(test.name, func(t *testing.T) {
			near := startQuirky(t, "127.0.0.1", test.near)
			holder := startQuirky(t, "127.0.0.1", test.holder)
			must(t, cranePush(t, img, holder+"/app:"+imageTag))
			if strings.HasPrefix(test.name, "slow lists") {
				must(t, cranePush(t, img, near+"/app:"+imageTag))
			}
			replicas := withUpstreams(answerReplicas, []*registry{{address: near}, {address: holder}})
			for i := range replicas {
				replicas[i].address = fmt.Sprintf("127.0.0.%d", i+1)
			}
			g := startGateway(t, "gateway", "127.0.0.1", file{
				here: "westus", limits: "{first_byte: 500ms, lists: 20s}",
				health: "{interval: 1s, timeout: 1s, fronts: false}", replicas: replicas,
			})
			for _, ask := range test.asks {
				if err := readVia(g, ask, test.login, test.status); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func readVia(g *gateway, ask, login string, want int) error {
	method, what, _ := strings.Cut(ask, " ")
	request, err := http.NewRequest(method, g.url()+"/v2/app/"+what, nil)
	if err != nil {
		return err
	}
	request.Header = manifestTypes.Clone()
	if login != "" {
		request.Header.Set("Authorization", login)
	}
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != want {
		return fmt.Errorf("%s: %d by %s, not %d", ask, response.StatusCode, response.Header.Get("Fairlead-Replica"),
			want)
	}
	return nil
}

func none(registry http.Handler) http.Handler { return registry }

// refusesUnknown says so of what the registry does not have.
func refusesUnknown(status int) quirk {
	return onAnswer(func(r *http.Request, was int, header http.Header) int {
		if was != http.StatusNotFound {
			return was
		}
		if status == http.StatusUnauthorized {
			header.Set("Www-Authenticate", `Bearer realm="http://auth.example.test/token",service="registry"`)
		}
		return status
	})
}

func refusesAll(status int) quirk {
	return func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				w.WriteHeader(status)
				return
			}
			registry.ServeHTTP(w, r)
		})
	}
}

// slowTo takes longer for reads below a repository that end so than the first byte of most may take.
func slowTo(end string) quirk {
	return func(registry http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, end) && r.URL.Path != "/v2/" {
				select {
				case <-time.After(1200 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
			registry.ServeHTTP(w, r)
		})
	}
}

// TestKnownIsNotAbsent: what was pushed through a gateway is never "not found" because the registry that has it is
// down.
func TestKnownIsNotAbsent(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, distributionKind, splitReplicas)
	gateways := startCluster(t, registries, func(_ int,
		f *file) {
		f.health = "{interval: 1s, timeout: 1s, fronts: false}"
	})
	img, err := newRegional(t, 1, gateways[0]).push(t, "app", "v1", nil)
	must(t, err)
	owner := registryOf(t, registries, gateways[0].leases(t)["app"])
	tag := "/v2/app/manifests/v1"
	for _, g := range gateways {
		waitFor(t, startBound, "news of the push",
			func() error { return statusIs(g, http.MethodGet, tag, http.StatusOK) })
	}
	owner.kill()
	asks := map[string]int{
		"GET " + tag:                               http.StatusServiceUnavailable,
		"HEAD " + tag:                              http.StatusServiceUnavailable,
		"GET /v2/app/manifests/" + img.Digest:      http.StatusServiceUnavailable,
		"GET /v2/app/tags/list":                    http.StatusServiceUnavailable,
		"GET /v2/app/blobs/" + digestOf([]byte{1}): http.StatusServiceUnavailable, // it may be one of the image's
		"GET /v2/app/manifests/v2":                 http.StatusNotFound,
		"GET /v2/other/manifests/v1":               http.StatusNotFound,
	}
	for name, status := range asks {
		method, path, _ := strings.Cut(name, " ")
		for _, g := range gateways {
			waitFor(t, startBound, "the probes", func() error {
				err := statusIs(g, method, path, status)
				if err != nil && status != http.StatusNotFound && strings.Contains(err.Error(), "is 404") {
					t.Error(err)
				}
				return err // who cannot ask it, and does not know yet that it is down, says 502
			})
		}
	}
	owner.restart()
	for _, g := range gateways {
		waitFor(t, startBound, "its return", func() error { return statusIs(g, http.MethodGet, tag, http.StatusOK) })
	}
}

func registryOf(t testing.TB, registries []*registry, name string) *registry {
	t.Helper()
	for _, r := range registries {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("no registry %q", name)
	return nil
}

func statusIs(g *gateway, method, path string, want int) error {
	request, err := http.NewRequest(method, g.url()+path, nil)
	if err != nil {
		return err
	}
	request.Header = manifestTypes.Clone()
	response, err := plain.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != want {
		return fmt.Errorf("%s: %s %s is %d by %s, not %d", g.name, method, path, response.StatusCode,
			response.Header.Get("Fairlead-Replica"), want)
	}
	return nil
}
