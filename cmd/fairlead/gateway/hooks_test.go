package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
)

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// TestHooksAreTold: what a gateway records, and hears from another one, its subscribers are told of.
func TestHooksAreTold(t *testing.T) {
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(`
hostname: registry.contoso.com
webhooks: [{name: hook1, uri: "http://127.0.0.1:1", actions: [push, replicated]}]
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal", home: true}
  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: "http://east.internal"}
`))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := openLedger(c, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := openHooks(func() *configs.Config { return c }, "v0", l, prometheus.NewRegistry(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.notifier.Run(ctx)
	told := func(want string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			list, err := h.ListEvents("hook1")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if content := string(d.Request.Content); strings.Contains(content, `"action":"`+want+`"`) {
					if !strings.Contains(content, "docker/27") {
						t.Errorf("told %s", content)
					}
					return
				}
			}
		}
		t.Fatalf("nobody is told of %s", want)
	}
	what := ledger.Reference{Repository: "app", Name: "v1"}
	by := ledger.Request{Host: "registry.contoso.com", Method: "PUT", UserAgent: "docker/27"}
	e, err := l.Push(what, ledger.Content{Digest: digest(1), Size: 1}, "west", by)
	if err != nil {
		t.Fatal(err)
	}
	told("push")
	other, err := ledger.Open("", "other", ledger.Named("west", "east"), time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	learn(t, other, l)
	if err := other.Confirm(e, "east"); err != nil {
		t.Fatal(err)
	}
	learn(t, l, other)
	told("replicated")
}

// learn has a ledger know what another one does.
func learn(t *testing.T, l, from *ledger.Ledger) {
	t.Helper()
	have, err := l.Vector()
	if err != nil {
		t.Fatal(err)
	}
	page, err := from.Since(have, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.MergePage(page); err != nil {
		t.Fatal(err)
	}
}

// A push is copied to who takes writes and is not left out.
func TestTakers(t *testing.T) {
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), []byte(`
hostname: registry.contoso.com
replication: {filters: [{replica: east, repositories: [private/*]}]}
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://west.internal", home: true}
  - {name: east, place: azure/eastus, addresses: [127.0.0.2], upstream: "http://east.internal"}
  - {name: closed, place: azure/westeurope, addresses: [127.0.0.4], upstream: "http://closed.internal", write: false}
  - {name: gone, place: azure/westeurope, addresses: [127.0.0.5], upstream: "http://gone.internal", state: offline}
`))
	if err != nil {
		t.Fatal(err)
	}
	takers := takersOf(func() *configs.Config { return c })
	for repository, want := range map[string][]string{"app": {"west", "east"}, "private/app": {"west"}} {
		if got := takers(repository); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", repository, got, want)
		}
	}
}
