package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs"
)

// locked is a registry that lets one login in, and remembers what it was asked by whom.
type locked struct {
	mu sync.Mutex
	// Guarded by mu.
	login string // user:password
	asked []string
}

func (l *locked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	user, password, _ := r.BasicAuth()
	l.mu.Lock()
	defer l.mu.Unlock()
	if user+":"+password != l.login {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v2/fairlead-probe/") {
		l.asked = append(l.asked, user+" "+r.Method)
	}
	status := map[string]int{http.MethodPost: 202, http.MethodPatch: 202, http.MethodDelete: 204}[r.Method]
	w.Header().Set("Location", "/v2/fairlead-probe/blobs/uploads/1")
	w.WriteHeader(max(status, http.StatusOK))
}

// change has another login let in from now on.
func (l *locked) change(login string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.login, l.asked = login, nil
}

// probedBy reports whether somebody has opened an upload, sent something and cancelled it.
func (l *locked) probedBy(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Equal(l.asked, []string{user + " POST", user + " PATCH", user + " DELETE"})
}

func writeLogin(t *testing.T, file, upstream, login string) {
	t.Helper()
	text := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, strings.TrimPrefix(upstream, "http://"),
		base64.StdEncoding.EncodeToString([]byte(login)))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestWriteProbeLogsIn: a registry that wants a login is probed with the one that the file has; with another one from
// the next request on, whether the file names another file or the same one has changed.
func TestWriteProbeLogsIn(t *testing.T) {
	registry := &locked{login: "first:1"}
	server := httptest.NewServer(registry)
	t.Cleanup(server.Close)
	dir, listens := t.TempDir(), []any{freeAddress(t), freeAddress(t), freeAddress(t)}
	login := func(name string) string { return filepath.Join(dir, name) }
	writeLogin(t, login("one.json"), server.URL, "first:1")
	writeLogin(t, login("two.json"), server.URL, "second:2")
	file := func(write bool, credentials string) *configs.Config {
		c, err := configs.Parse(filepath.Join(dir, "fairlead.yaml"), fmt.Appendf(nil, `
hostname: registry.contoso.com
dns: {listen: ["%s"]}
proxy: {listen: ["%s"]}
admin: {listen: "%s"}
health: {fronts: false, write: %t}
replicas: [{name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "%s", credentials: "%s"}]
`, append(listens, write, server.URL, login(credentials))...))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	g, err := New(t.Context(), file(true, "one.json"), "v0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the first login", func() bool { return registry.probedBy("first") })
	for _, step := range []struct{ user, credentials, of string }{
		{"second", "two.json", "another file"},
		{"third", "two.json", "the same file"},
	} {
		registry.change(step.user + ":3")
		writeLogin(t, login(step.credentials), server.URL, step.user+":3")
		for _, write := range []bool{false, true} { // so that it is probed at once
			if err := g.apply(file(write, step.credentials)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the login of "+step.of, func() bool { return registry.probedBy(step.user) })
	}
	if status := g.writes.Status(); len(status) != 0 {
		t.Errorf("it takes no pushes: %+v", status)
	}
}
