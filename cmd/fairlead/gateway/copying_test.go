package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// newTestCopying copies between replicas of all kinds, with a registry behind two of them.
func newTestCopying(t *testing.T, first, leftOut string) *copying {
	t.Helper()
	c, err := configs.Parse("fairlead.yaml", []byte(fmt.Sprintf(`
hostname: registry.contoso.com
dns: {listen: ["127.0.0.1:5300"]}
proxy: {listen: ["127.0.0.1:5000"]}
replication: {filters: [{replica: left-out, repositories: [app]}]}
replicas:
  - {name: first, place: azure/westus, addresses: [127.0.0.1], upstream: %q, home: true}
  - {name: copied, place: azure/westus, addresses: [127.0.0.2], upstream: "http://127.0.0.1:2"}
  - {name: left-out, place: azure/westus, addresses: [127.0.0.3], upstream: %q}
  - {name: read-only, place: azure/westus, addresses: [127.0.0.4], upstream: "http://127.0.0.1:4", write: false}
  - {name: offline, place: azure/westus, addresses: [127.0.0.5], upstream: "http://127.0.0.1:5", state: offline}
`, first, leftOut)))
	if err != nil {
		t.Fatal(err)
	}
	metrics, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	l, err := openLedger(c, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	monitor, err := newMonitor(c, metrics, log)
	if err != nil {
		t.Fatal(err)
	}
	to, err := newUpstreams(c, monitor, nil, share(1024, len(c.Replicas), 1))
	if err != nil {
		t.Fatal(err)
	}
	return newCopying(func() *configs.Config { return c }, copyingParts{
		ledger: ledger.Current{Ledger: l}, fleet: monitor.Fleet, upstreams: to,
		checkpoint: audit.OpenCheckpoint("", log), egress: upstream.NewEgress("", time.Now(), metrics),
	}, metrics, log)
}

// TestCopies: pushes come to replicas that take writes, are in service and not left out.
func TestCopies(t *testing.T) {
	c := newTestCopying(t, "http://127.0.0.1:1", "http://127.0.0.1:3")
	for replica, want := range map[string]bool{
		"first": true, "copied": true, "left-out": false, "read-only": false, "offline": false,
	} {
		if got := c.Copies(replica, "app"); got != want {
			t.Errorf("%s: %v", replica, got)
		}
	}
	if !c.Copies("left-out", "other") {
		t.Error("a filter holds for more than it says")
	}
}

// TestDeletionsAreRechecked: a replica is asked afterwards about what a client deleted there, if copies come to it. A
// registry may go on giving out what it has cached, and a client may go away before it deletes a stand-in.
func TestDeletionsAreRechecked(t *testing.T) {
	registry := func() (url string, asked chan string) {
		asked = make(chan string, 1000)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- path.Base(r.URL.Path)
			w.WriteHeader(http.StatusNotFound)
		}))
		t.Cleanup(s.Close)
		return s.URL, asked
	}
	first, askedFirst := registry()
	leftOut, askedLeftOut := registry()
	c := newTestCopying(t, first, leftOut)
	go c.Run(t.Context())
	tagged := func(name string) ledger.Reference { return ledger.Reference{Repository: "app", Name: name} }
	if _, err := c.ledger.Untag(tagged("at-left-out"), digest(1), "left-out", ledger.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ledger.Untag(tagged("at-first"), digest(2), "first", ledger.Request{}); err != nil {
		t.Fatal(err)
	}
	for end := time.After(time.Minute); ; {
		select {
		case name := <-askedFirst:
			if name != "at-first" {
				continue // the other deletion is brought there
			}
		case <-end:
			t.Fatal("the replica that deleted the tag is not asked")
		}
		break
	}
	for len(askedLeftOut) > 0 {
		if name := <-askedLeftOut; name == "at-left-out" {
			t.Error("a replica that nothing is copied to is asked")
		}
	}
}
