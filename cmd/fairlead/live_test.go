package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs"
)

const (
	liveBlob     = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of hello
	liveManifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[{"digest":"` +
		liveBlob + `","size":5}]}`
)

// liveRegistry wants a token, and keeps its blobs in a store.
func liveRegistry(t *testing.T, tokens, store string, catalog bool) *url.URL {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && user == "user" && password == "secret":
			fmt.Fprint(w, `{"token":"good"}`)
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") != "Bearer good":
			realm := tokens
			if realm == "" {
				realm = server.URL
			}
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/_catalog" && !catalog:
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/v2/_catalog":
			fmt.Fprint(w, `{"repositories":["app"]}`)
		case r.URL.Path == "/v2/app/tags/list":
			fmt.Fprint(w, `{"tags":["v1"]}`)
		case r.URL.Path == "/v2/app/manifests/v1":
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			fmt.Fprint(w, liveManifest)
		case strings.HasPrefix(r.URL.Path, "/v2/app/blobs/"):
			http.Redirect(w, r, store+"/blob", http.StatusTemporaryRedirect)
		}
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestCheckLiveInside: what a replica gives to whoever logs in, and where it leads.
func TestCheckLiveInside(t *testing.T) {
	t.Parallel()
	oneByte := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "h") })
	store, strange := httptest.NewServer(oneByte), httptest.NewTLSServer(oneByte)
	away := httptest.NewServer(oneByte)
	away.Close()
	t.Cleanup(store.Close)
	t.Cleanup(strange.Close)
	for _, c := range []struct {
		name, login, tokens, store string
		noCatalog                  bool
		want                       string
		well                       bool
	}{
		{name: "all is well", login: "user:secret", store: store.URL, want: "gives out " + liveBlob + " of app",
			well: true},
		{name: "no credentials", store: store.URL, want: "wants a login", well: true},
		{name: "the wrong ones", login: "user:wrong", store: store.URL, want: "login with `credentials`"},
		{name: "a token service that is away", login: "user:secret", tokens: away.URL, store: store.URL,
			want: "connection refused"},
		{name: "an object store that is away", login: "user:secret", store: away.URL, want: "pull of app"},
		{name: "an object store of a strange authority", login: "user:secret", store: strange.URL, want: "certificate"},
		{name: "no catalog", login: "user:secret", store: store.URL, noCatalog: true, want: "lists no repositories",
			well: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := configs.Replica{Name: "west", Upstream: liveRegistry(t, c.tokens, c.store, !c.noCatalog)}
			if user, password, ok := strings.Cut(c.login, ":"); ok {
				r.Credentials = filepath.Join(t.TempDir(), "config.json")
				text := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, r.Upstream.Host, user, password)
				if err := os.WriteFile(r.Credentials, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said, err := lookInside(t.Context(), r, http.StatusUnauthorized)
			if err != nil {
				said = err.Error()
			}
			if (err == nil) != c.well || !strings.Contains(said, c.want) {
				t.Errorf("%q, well %t; want %q, %t", said, err == nil, c.want, c.well)
			}
		})
	}
}

func TestCompareDelegation(t *testing.T) {
	want := []string{"ns1.contoso.com", "ns2.contoso.com"}
	for _, c := range []struct {
		found []string
		well  bool
		says  string
	}{
		{[]string{"NS2.contoso.com.", "ns1.contoso.com."}, true, "is delegated to ns1.contoso.com, ns2.contoso.com"},
		{nil, false, "is not delegated: put NS records"},
		{[]string{"ns1.contoso.com."}, false,
			"is delegated to ns1.contoso.com, and the file names ns1.contoso.com, ns2.contoso.com"},
		{[]string{"ns.elsewhere.example."}, false, "ns.elsewhere.example"},
	} {
		var records []*net.NS
		for _, host := range c.found {
			records = append(records, &net.NS{Host: host})
		}
		said, err := compareDelegation("registry.contoso.com", want, records)
		if err != nil {
			said = err.Error()
		}
		if (err == nil) != c.well || !strings.Contains(said, c.says) {
			t.Errorf("%v: %q, %v", c.found, said, err)
		}
	}
	said, err := lookDelegation(context.Background(), &configs.Config{Hostname: "registry.example.test"})
	if err != nil || !strings.Contains(said, "not looked up") {
		t.Error(said, err)
	}
}
