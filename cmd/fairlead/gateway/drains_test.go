package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/health"
)

// drainable is a gateway of the region west that serves nobody yet. addresses are west's.
func drainable(t *testing.T, upstream, addresses, others string) *Gateway {
	t.Helper()
	g, err := New(t.Context(), drainFile(t, freeAddress(t), upstream, addresses, others), "v0",
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.open.close()
		_ = g.close()
	})
	return g
}

func drainFile(t *testing.T, listen, upstream, addresses, others string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(filepath.Join(t.TempDir(), "fairlead.yaml"), fmt.Appendf(nil, `
hostname: registry.contoso.com
here: west
dns: {listen: ["%s"]}
proxy: {listen: ["%s"]}
admin: {listen: "%s"}
health: {fronts: false}
replicas:
  - {name: west, place: azure/westus, addresses: [%s], upstream: "%s", home: true}
%s`, freeAddress(t), listen, freeAddress(t), addresses, upstream, others))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const otherRegion = `  - {name: east, place: azure/eastus, addresses: [192.0.2.2], upstream: "http://127.0.0.1:2"}`

// TestDrain: who drains answers other gateways' probes with 503 and clients as ever, and DNS does not name it; until
// somebody takes that back.
func TestDrain(t *testing.T) {
	registry := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer registry.Close()
	g := drainable(t, registry.URL, "192.0.2.1", otherRegion)
	ask := func(agent string) (status int, closes bool) {
		r := httptest.NewRequest(http.MethodGet, "http://registry.contoso.com/v2/", nil)
		r.Header.Set("User-Agent", agent)
		w := httptest.NewRecorder()
		g.serveClient(w, r)
		return w.Code, w.Header().Get("Connection") == "close"
	}
	for _, step := range []struct {
		name     string
		do       func() error
		fails    error
		draining bool
	}{
		{"at the start", func() error { return nil }, nil, false},
		{"cancelled before it began", func() error { return g.drain(false) }, nil, false},
		{"drained", func() error { return g.drain(true) }, nil, true},
		{"drained twice", func() error { return g.drain(true) }, nil, true},
		{"cancelled", func() error { return g.drain(false) }, nil, false},
		{"drained again", func() error { return g.drain(true) }, nil, true},
		{"stopped", func() error { _, err := g.drains.begin(g, true); return err }, nil, true},
		{"cancelled while it stops", func() error { return g.drain(false) }, errStopping, true},
	} {
		if err := step.do(); !errors.Is(err, step.fails) {
			t.Errorf("%s: %v", step.name, err)
		}
		probe, client := http.StatusOK, http.StatusOK
		if step.draining {
			probe = http.StatusServiceUnavailable
		}
		if status, _ := ask(health.UserAgent); status != probe {
			t.Errorf("%s: a probe hears %d", step.name, status)
		}
		if status, closes := ask("docker"); status != client || closes != step.draining {
			t.Errorf("%s: a client hears %d, and that its connection ends: %t", step.name, status, closes)
		}
		if up := g.named()().Replica("west").FrontUp(); up == step.draining {
			t.Errorf("%s: DNS has the front up: %t", step.name, up)
		}
		if got := g.drained(); got.Draining != step.draining || got.Draining != (len(got.Fronts) == 1) ||
			g.fleet().Draining != step.draining {
			t.Errorf("%s: it says %+v", step.name, got)
		}
		ready := ""
		for _, check := range g.checks() {
			if check.Name == "not stopping" {
				ready = check.Problem
			}
		}
		if (ready != "") != step.draining {
			t.Errorf("%s: readyz says %q", step.name, ready)
		}
	}
}

// TestDrainAlone: where nobody else could take the clients, nothing is waited for, and nobody is sent away.
func TestDrainAlone(t *testing.T) {
	g := drainable(t, "http://127.0.0.1:1", "192.0.2.1", "")
	if err := g.drain(true); !errors.Is(err, errNobodyElse) || g.drains.state() != nil {
		t.Errorf("%v, %+v", err, g.drains.state())
	}
	g.leave(t.Context()) // returns at once, or the test takes 25 s
	if s := g.drains.state(); s == nil || !g.named()().Replica("west").FrontUp() {
		t.Errorf("a stop: %+v", s)
	}
}

// TestDrainAnotherFile: the addresses that are its own by the file in force leave DNS.
func TestDrainAnotherFile(t *testing.T) {
	g := drainable(t, "http://127.0.0.1:1", "192.0.2.1", otherRegion)
	if err := g.drain(true); err != nil {
		t.Fatal(err)
	}
	since := g.drained().Since
	next := drainFile(t, freeAddress(t), "http://127.0.0.1:1", "192.0.2.7", otherRegion)
	g.live.file.Store(next)
	swap, err := g.changeCluster(next)
	if err != nil {
		t.Fatal(err)
	}
	swap()
	if got := g.drained(); strings.Join(got.Fronts, " ") != "192.0.2.7" || !got.Since.Equal(since) {
		t.Errorf("%+v, since %v", got, since)
	}
}
