package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	oras "oras.land/oras-go/v2/registry/remote/auth"
)

// guarded is a replica that demands a login and a token service in one, with a transport of its own in memory.
type guarded struct {
	t         *testing.T
	challenge string
	accepts   func(authorization string) bool
	token     func(r *http.Request) (status int, body string)

	mu     sync.Mutex
	log    []string // Guarded by mu.
	shown  []string // Guarded by mu: to the replica.
	tokens []*http.Request
}

func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	w := httptest.NewRecorder()
	switch r.URL.Host {
	case "replica.test", "storage.test":
		g.log = append(g.log, r.Method+" "+r.URL.Path)
		g.shown = append(g.shown, r.Header.Get("Authorization"))
		if g.accepts(r.Header.Get("Authorization")) {
			w.WriteHeader(http.StatusOK)
		} else {
			w.Header().Set("WWW-Authenticate", g.challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "auth.test":
		g.tokens = append(g.tokens, r)
		status, body := g.token(r)
		w.WriteHeader(status)
		w.WriteString(body)
	default:
		g.t.Errorf("asked %s", r.URL)
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

func (g *guarded) authorize(login Login) http.RoundTripper {
	return Authorize(g, g, &url.URL{Scheme: "https", Host: "replica.test"}, login)
}

func ask(t *testing.T, over http.RoundTripper, method, at string, body io.Reader) int {
	t.Helper()
	if strings.HasPrefix(at, "/") {
		at = "https://replica.test" + at
	}
	r, err := http.NewRequestWithContext(t.Context(), method, at, body)
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil // as of what comes from another replica
	response, err := over.RoundTrip(r)
	if err != nil {
		t.Logf("%s %s: %v", method, at, err)
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

const bearerChallenge = `Bearer realm="https://auth.test/token?a=b",service="registry",scope="repository:app:pull"`

func TestBasic(t *testing.T) {
	g := &guarded{t: t, challenge: `Basic realm="x"`,
		accepts: func(s string) bool { return s == "Basic YWxpY2U6c2VjcmV0" }}
	over := g.authorize(Password("alice", "secret"))
	for range 2 {
		if got := ask(t, over, http.MethodHead, "/v2/app/blobs/sha256:1", nil); got != 200 {
			t.Error(got)
		}
	}
	if got := ask(t, over, http.MethodPatch, "/v2/app/blobs/uploads/1", strings.NewReader("x")); got != 200 ||
		len(g.log) != 4 {
		t.Errorf("%d, %q", got, g.log)
	}
	wrong := g.authorize(Password("alice", "wrong"))
	if got := ask(t, wrong, http.MethodHead, "/v2/app/blobs/sha256:1", nil); got != 401 {
		t.Error(got)
	}
	none := g.authorize(Password("", ""))
	if got := ask(t, none, http.MethodHead, "/v2/app/blobs/sha256:1", nil); got != 401 {
		t.Error(got)
	}
}

// The way to a replica may lead through others, who are no token service.
func TestTokensHaveTheirOwnWay(t *testing.T) {
	accepts := func(s string) bool { return s == "Bearer t" }
	replica := &guarded{t: t, challenge: `Bearer realm="https://replica.test/v2/token"`, accepts: accepts}
	service := &guarded{t: t, accepts: func(string) bool { return true }}
	over := Authorize(replica, service, &url.URL{Scheme: "https", Host: "replica.test"}, Password("alice", "secret"))
	ask(t, over, http.MethodHead, "/v2/app/blobs/sha256:1", nil)
	if len(replica.log) != 1 || len(service.log) != 1 || service.log[0] != "GET /v2/token" ||
		service.shown[0] != "Basic YWxpY2U6c2VjcmV0" {
		t.Errorf("the replica was asked %q, the service %q", replica.log, service.log)
	}
}

func TestBasicIsRenewed(t *testing.T) {
	password := "old"
	g := &guarded{t: t, challenge: `Basic realm="x"`, accepts: func(s string) bool {
		r := http.Request{Header: http.Header{"Authorization": {s}}}
		_, p, _ := r.BasicAuth()
		return p == password
	}}
	over := g.authorize(func(context.Context) (oras.Credential, error) {
		return oras.Credential{Username: "alice", Password: password}, nil
	})
	ask(t, over, http.MethodHead, "/v2/app/blobs/sha256:1", nil)
	password = "new"
	if got := ask(t, over, http.MethodHead, "/v2/app/blobs/sha256:1", nil); got != 200 {
		t.Error(got)
	}
}

func TestBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		issued := map[string]time.Time{}
		g := &guarded{t: t, challenge: bearerChallenge}
		g.token = func(r *http.Request) (int, string) {
			user, password, _ := r.BasicAuth()
			if user != "alice" || password != "secret" || r.URL.Query().Get("service") != "registry" ||
				r.URL.Query().Get("a") != "b" {
				t.Errorf("the token service was asked %s", r.URL)
			}
			token := fmt.Sprintf("%s@%d", r.URL.Query().Get("scope"), time.Since(began)/time.Second)
			issued["Bearer "+token] = time.Now()
			return 200, fmt.Sprintf(`{"token":%q,"expires_in":100}`, token)
		}
		g.accepts = func(s string) bool {
			at, ok := issued[s]
			return ok && time.Since(at) < 100*time.Second
		}
		over := g.authorize(Password("alice", "secret"))
		if got := ask(t, over, http.MethodPost, "/v2/team/app/blobs/uploads/", nil); got != 200 ||
			g.shown[1] != "Bearer repository:team/app:pull,push@0" {
			t.Errorf("%d, %q", got, g.shown)
		}
		for range 30 { // 300 s: a body is never sent in vain
			body := strings.NewReader("x")
			if got := ask(t, over, http.MethodPatch, "/v2/team/app/blobs/uploads/1", body); got != 200 {
				t.Fatalf("%d after %v, %q", got, time.Since(began), g.shown)
			}
			time.Sleep(10 * time.Second) // of the bubble's clock
		}
		if len(g.tokens) != 4 { // at 0, 80, 160 and 240
			t.Errorf("%d tokens", len(g.tokens))
		}
		if got := ask(t, over, http.MethodDelete, "/v2/team/app/manifests/v1", nil); got != 200 ||
			!strings.HasPrefix(g.shown[len(g.shown)-1], "Bearer repository:team/app:delete,pull@") {
			t.Errorf("%d, %q", got, g.shown)
		}
	})
}

// TestRevoked: a token that is refused before its time is not shown again.
func TestRevoked(t *testing.T) {
	n := 0
	g := &guarded{t: t, challenge: bearerChallenge}
	g.token = func(*http.Request) (int, string) {
		n++
		return 200, fmt.Sprintf(`{"access_token":"t%d","expires_in":3600}`, n)
	}
	good := "Bearer t1"
	g.accepts = func(s string) bool { return s == good }
	over := g.authorize(Password("alice", "secret"))
	ask(t, over, http.MethodHead, "/v2/app/manifests/v1", nil)
	good = "Bearer t2"
	if got := ask(t, over, http.MethodHead, "/v2/app/manifests/v1", nil); got != 200 {
		t.Error(got)
	}
	good = "Bearer t4"
	if got := ask(t, over, http.MethodPut, "/v2/app/manifests/v1", strings.NewReader("{}")); got != 401 {
		t.Errorf("a body was sent twice: %d", got)
	}
	if got := ask(t, over, http.MethodPut, "/v2/app/manifests/v1", strings.NewReader("{}")); got != 200 {
		t.Error(got)
	}
}

// TestNobodyElse: what leaves the replica goes without a login.
func TestNobodyElse(t *testing.T) {
	g := &guarded{t: t, challenge: `Basic realm="x"`, accepts: func(s string) bool { return s != "" }}
	over := g.authorize(Password("alice", "secret"))
	ask(t, over, http.MethodGet, "/v2/app/blobs/sha256:1", nil)
	for _, at := range []string{"https://storage.test/v2/app/blobs/sha256:1",
		"http://replica.test/v2/app/blobs/sha256:1"} {
		if got := ask(t, over, http.MethodGet, at, nil); got != 401 || g.shown[len(g.shown)-1] != "" {
			t.Errorf("%s: %d, was shown %q", at, got, g.shown)
		}
	}
	for _, realm := range []string{"http://auth.test/token", "https://bob@auth.test/token", "file:///etc/passwd",
		"/token", "://"} {
		g := &guarded{t: t, challenge: `Bearer realm="` + realm + `"`, accepts: func(string) bool { return false }}
		if got := ask(t, g.authorize(Password("alice", "secret")), http.MethodGet, "/v2/", nil); got != 401 ||
			len(g.tokens) != 0 {
			t.Errorf("%s: %d, %d tokens", realm, got, len(g.tokens))
		}
	}
}

func TestTokenServiceFails(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
	}{{403, "{}"}, {302, ""}, {200, "{}"}, {200, "<html>"}, {200, `{"token":"a\nb"}`},
		{200, `{"token":"` + strings.Repeat("x", maxToken) + `"}`}} {
		g := &guarded{t: t, challenge: bearerChallenge, accepts: func(string) bool { return false }}
		g.token = func(*http.Request) (int, string) { return c.status, c.body }
		over := g.authorize(Password("alice", "secret"))
		if got := ask(t, over, http.MethodGet, "/v2/app/manifests/v1", nil); got != 401 {
			t.Errorf("%v: %d", c.status, got)
		}
	}
}

// TestOneQuestion: many who need the same token ask for it once, and one who goes away takes nobody along.
func TestOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{})
		g := &guarded{t: t, challenge: bearerChallenge, accepts: func(s string) bool { return s == "Bearer t" }}
		base := &slowTokens{g, asked}
		a := Authorize(base, base, &url.URL{Scheme: "https", Host: "replica.test"}, Password("alice", "secret"))
		g.token = func(*http.Request) (int, string) { return 200, `{"token":"t"}` }
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://replica.test/v2/app/manifests/v1", nil)
		var group sync.WaitGroup
		group.Go(func() {
			response, err := a.RoundTrip(r)
			if err == nil && response.StatusCode != http.StatusUnauthorized {
				t.Errorf("%v %v", response, err)
			}
		})
		synctest.Wait()
		for range 10 {
			group.Go(func() {
				if got := ask(t, a, http.MethodGet, "/v2/app/manifests/v1", nil); got != 200 {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(asked)
		group.Wait()
		if len(g.tokens) != 1 {
			t.Errorf("%d tokens", len(g.tokens))
		}
	})
}

type slowTokens struct {
	*guarded
	until chan struct{}
}

func (s *slowTokens) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "auth.test" {
		select {
		case <-s.until:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return s.guarded.RoundTrip(r)
}

func TestDockerConfig(t *testing.T) {
	dir := t.TempDir()
	helper := `#!/bin/sh
read host
if [ "$host" = helped.test ]; then
	echo '{"Username":"<token>","Secret":"refresh"}'
else
	echo 'credentials not found in native keychain'
	exit 1
fi
`
	write(t, filepath.Join(dir, "docker-credential-fake"), helper, 0o700)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	file := filepath.Join(dir, "config.json")
	write(t, file, `{"auths":{"plain.test":{"auth":"YWxpY2U6c2VjcmV0"}},"credHelpers":{"helped.test":"fake",`+
		`"unknown.test":"fake"}}`, 0o600)
	for host, want := range map[string]oras.Credential{
		"plain.test":   {Username: "alice", Password: "secret"},
		"helped.test":  {RefreshToken: "refresh"},
		"unknown.test": {},
		"other.test":   {},
	} {
		got, err := DockerConfig(file, host)(t.Context())
		if got != want || (err != nil) != (want == oras.Credential{}) {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	login := DockerConfig(file, "plain.test")
	write(t, file, `{"auths":{"plain.test":{"auth":"YWxpY2U6bmV3"}}}`, 0o600)
	if got, err := login(t.Context()); got.Password != "new" {
		t.Errorf("after it was rotated: %v, %v", got, err)
	}
	write(t, file, `no JSON`, 0o600)
	if _, err := login(t.Context()); err == nil {
		t.Error("no error of a file that is none")
	}
	g := &guarded{t: t, challenge: bearerChallenge, accepts: func(s string) bool { return s == "Bearer t" }}
	g.token = func(r *http.Request) (int, string) {
		form := r.URL.Query()
		if r.Method != http.MethodPost || form.Get("refresh_token") != "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		return 200, `{"access_token":"t"}`
	}
	refresh := func(context.Context) (oras.Credential, error) { return oras.Credential{RefreshToken: "refresh"}, nil }
	if got := ask(t, g.authorize(refresh), http.MethodGet, "/v2/app/manifests/v1", nil); got != 200 {
		t.Error(got)
	}
	failing := func(context.Context) (oras.Credential, error) { return oras.Credential{}, errors.New("no helper") }
	if got := ask(t, g.authorize(failing), http.MethodGet, "/v2/app/manifests/v1", nil); got != 401 {
		t.Error(got)
	}
}

// TestDockerLogin: who has not logged in may be let in all the same.
func TestDockerLogin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	for _, c := range []struct {
		content string
		hosts   []string
		want    string // user name
		failed  bool
	}{
		{"", []string{"plain.test"}, "", false},
		{`{"auths":{"plain.test":{"auth":"YWxpY2U6c2VjcmV0"},` +
			`"https://index.docker.io/v1/":{"auth":"Ym9iOnNlY3JldA=="}}}`, []string{"other.test", "plain.test"},
			"alice", false},
		{"", []string{"other.test"}, "", false},
		{"", []string{"registry-1.docker.io"}, "bob", false},
		{`no JSON`, []string{"plain.test"}, "", true},
	} {
		if c.content != "" {
			write(t, file, c.content, 0o600)
		}
		if got, err := DockerLogin(file, c.hosts...)(t.Context()); got.Username != c.want || (err != nil) != c.failed {
			t.Errorf("%v: %v, %v", c.hosts, got, err)
		}
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestScopeOf(t *testing.T) {
	for _, c := range [][3]string{
		{"GET", "/v2/", ""},
		{"GET", "/v2/_catalog", "registry:catalog:*"},
		{"GET", "/elsewhere", ""},
		{"GET", "/v2/app/tags/list", "repository:app:pull"},
		{"HEAD", "/v2/team/app/manifests/v1", "repository:team/app:pull"},
		{"PUT", "/v2/team/app/manifests/v1", "repository:team/app:pull,push"},
		{"DELETE", "/v2/team/app/manifests/v1", "repository:team/app:delete,pull"},
		{"DELETE", "/v2/team/app/blobs/uploads/1", "repository:team/app:pull,push"},
		{"GET", "/v2/team/app/blobs/uploads/1", "repository:team/app:pull,push"},
		{"PATCH", "/v2/team/app/blobs/uploads/1", "repository:team/app:pull,push"},
		{"GET", "/v2/team/blobs/app/manifests/v1", "repository:team/blobs/app:pull"},
	} {
		if got := scopeOf(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s", c[0], c[1], got)
		}
	}
}

func TestBearerIsPreferred(t *testing.T) {
	both := http.Header{"Www-Authenticate": {`Basic realm="x"`, bearerChallenge}}
	if c, ok := challengeOf(both); !ok || c.basic || c.realm != "https://auth.test/token?a=b" ||
		c.service != "registry" {
		t.Error(c)
	}
}

// TestTokensAsTheyAre: what services say of a token's life, and with which status, keeps nobody from using it.
func TestTokensAsTheyAre(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`100`: 75 * time.Second, `"100"`: 75 * time.Second, `100.0`: 75 * time.Second, `1e99`: 45 * time.Minute,
		`NaN`: 45 * time.Second, `-1`: 45 * time.Second, `0`: 45 * time.Second, `null`: 45 * time.Second,
		`""`: 45 * time.Second, `{}`: 45 * time.Second, ``: 45 * time.Second,
	} {
		if got := life(json.RawMessage(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	g := &guarded{t: t, challenge: bearerChallenge, accepts: func(s string) bool { return s == "Bearer t" }}
	g.token = func(*http.Request) (int, string) { return http.StatusCreated, `{"token":"t","expires_in":"300"}` }
	over := g.authorize(Password("alice", "secret"))
	if got := ask(t, over, http.MethodHead, "/v2/app/manifests/v1", nil); got != 200 {
		t.Error(got)
	}
}
