package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
)

// memberOf is a gateway of a cluster that runs until the test ends. more is of the mapping of `cluster`.
func memberOf(t *testing.T, name, more string) (*Gateway, func(more, lease string) *configs.Config) {
	t.Helper()
	listens := []any{freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)}
	dir := t.TempDir()
	file := func(more, lease string) *configs.Config {
		c, err := configs.Parse(filepath.Join(dir, "fairlead.yaml"), fmt.Appendf(nil, `
hostname: registry.contoso.com
dns: {listen: ["%s"]}
proxy: {listen: ["%s"]}
admin: {listen: "%s"}
cluster: {listen: "%s", name: %s%s}
health: {fronts: false}
%s
replicas: [{name: west, place: azure/westus, addresses: [192.0.2.1], upstream: "http://127.0.0.1:1"}]
`, append(listens, name, more, lease)...))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ctx, stop := context.WithCancel(t.Context())
	g, err := New(ctx, file(more, ""), "v0", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g, file
}

func keyFile(t *testing.T, keys ...string) string {
	t.Helper()
	var lines strings.Builder
	for _, key := range keys {
		fmt.Fprintln(&lines, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(key, 32))))
	}
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute { // only keeps a broken test from hanging
			t.Fatal("waited in vain: " + what)
		}
	}
}

// TestChangeCluster: another file has its peers looked for, its keys used wherever they are now, and its shared part
// compared.
func TestChangeCluster(t *testing.T) {
	one, fileOfOne := memberOf(t, "one", fmt.Sprintf(`, peers: [127.0.0.1:1], key: %q`, keyFile(t, "a")))
	two, _ := memberOf(t, "two", fmt.Sprintf(`, peers: [127.0.0.1:1], key: %q`, keyFile(t, "b")))
	peers := fmt.Sprintf(`, peers: [%q], key: `, two.live.config().Cluster.Listen)
	if err := one.apply(fileOfOne(peers+fmt.Sprintf("%q", keyFile(t, "b", "a")), "lease: {idle: 1m}")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are members", func() bool {
		return len(one.agreed.Members()) == 2 && len(two.agreed.Members()) == 2
	})
	differs := func(g *Gateway) string { return strings.Join(g.agreed.Differing(), "; ") }
	eventually(t, "who differs is known", func() bool {
		return differs(one) == "two: lease.idle" && differs(two) == "one: lease.idle"
	})
	if m := one.members(); len(m.Members) != 2 || len(m.Members[0].Differs) != 0 || m.Members[0].Differs == nil {
		t.Errorf("/cluster: %+v", m)
	}
	before := one.live.config()
	bad := *before
	bad.Cluster = &configs.Cluster{Key: filepath.Join(t.TempDir(), "none"), Peers: before.Cluster.Peers}
	if err := one.apply(&bad); err == nil || one.live.config() != before {
		t.Errorf("a key that is not there: %v", err)
	}
	if err := one.apply(fileOfOne(peers+fmt.Sprintf("%q", keyFile(t, "b")), "")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both have the same file", func() bool { return differs(one) == "" && differs(two) == "" })
}

// TestUnsharedReplicaGetsNoLease: no push begins at a replica that another live gateway's file lacks, though it is the
// one that would get it; from when the last gateway has it, pushes begin there.
func TestUnsharedReplicaGetsNoLease(t *testing.T) {
	upstream := func() *url.URL {
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("Location", r.URL.Path+"1")
				w.WriteHeader(http.StatusAccepted)
			}
		}))
		t.Cleanup(registry.Close)
		u, err := url.Parse(registry.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	one, fileOfOne := memberOf(t, "one", ", peers: [127.0.0.1:1]")
	peers := fmt.Sprintf(", peers: [%q]", one.live.config().Cluster.Listen)
	two, fileOfTwo := memberOf(t, "two", peers)
	eventually(t, "both are members", func() bool { return len(one.agreed.Members()) == 2 && len(two.agreed.Members()) == 2 })
	west, east := upstream(), upstream()
	with := func(c *configs.Config, eastToo bool) *configs.Config {
		r := c.Replicas[0]
		r.Upstream = west
		c.Replicas = []configs.Replica{r}
		if eastToo {
			r.Name, r.Upstream = "east", east // by its name it comes first
			c.Replicas = []configs.Replica{r, c.Replicas[0]}
		}
		return c
	}
	pushed := 0
	owner := func() string {
		pushed++
		at := fmt.Sprintf("http://%s/v2/app-%d/blobs/uploads/", one.live.config().Proxy.Listen[0], pushed)
		response, err := http.Post(at, "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		name, _, _ := strings.Cut(response.Header.Get("Fairlead-Replica"), ";")
		return fmt.Sprint(response.StatusCode, " ", name)
	}
	apply := func(g *Gateway, c *configs.Config) {
		t.Helper()
		if err := g.apply(c); err != nil {
			t.Fatal(err)
		}
	}
	apply(two, with(fileOfTwo(peers, ""), false))
	apply(one, with(fileOfOne(", peers: [127.0.0.1:1]", ""), true))
	eventually(t, "both are up", func() bool {
		fleet := one.monitor.Fleet()
		return fleet.Replica("west").Upstream.Up && fleet.Replica("east").Upstream.Up
	})
	eventually(t, "a push begins", func() bool { return owner() == "202 west" })
	for range 20 {
		if got := owner(); got != "202 west" {
			t.Errorf("one gateway has both: %s", got)
		}
	}
	for _, r := range one.fleet().Replicas {
		if r.Unshared != (r.Name == "east") {
			t.Errorf("/fleet: %s is unshared: %t", r.Name, r.Unshared)
		}
	}
	apply(two, with(fileOfTwo(peers, ""), true))
	eventually(t, "pushes begin at both gateways' first", func() bool { return owner() == "202 east" })
}
