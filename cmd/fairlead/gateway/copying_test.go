package gateway

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// TestCopies: pushes come to replicas that take writes, are in service and not left out.
func TestCopies(t *testing.T) {
	c, err := configs.Parse("fairlead.yaml", []byte(`
hostname: registry.contoso.com
dns: {listen: ["127.0.0.1:5300"]}
proxy: {listen: ["127.0.0.1:5000"]}
replication: {filters: [{replica: left-out, repositories: [app]}]}
replicas:
  - {name: first, place: azure/westus, addresses: [127.0.0.1], upstream: "http://127.0.0.1:1", home: true}
  - {name: copied, place: azure/westus, addresses: [127.0.0.2], upstream: "http://127.0.0.1:2"}
  - {name: left-out, place: azure/westus, addresses: [127.0.0.3], upstream: "http://127.0.0.1:3"}
  - {name: read-only, place: azure/westus, addresses: [127.0.0.4], upstream: "http://127.0.0.1:4", write: false}
  - {name: offline, place: azure/westus, addresses: [127.0.0.5], upstream: "http://127.0.0.1:5", state: offline}
`))
	if err != nil {
		t.Fatal(err)
	}
	metrics, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	l, err := openLedger(c, log)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	monitor, err := newMonitor(c, metrics, log)
	if err != nil {
		t.Fatal(err)
	}
	to, err := newUpstreams(c, monitor, nil, share(1024, len(c.Replicas), 1))
	if err != nil {
		t.Fatal(err)
	}
	copies := newCopying(c, copyingParts{
		ledger: ledger.Current{Ledger: l}, fleet: monitor.Fleet, upstreams: to,
		inspected: audit.OpenCheckpoint("", log), egress: upstream.NewEgress("", time.Now(), metrics),
	}, metrics, log)
	for replica, want := range map[string]bool{"first": true, "copied": true, "left-out": false, "read-only": false, "offline": false} {
		if got := copies.Copies(replica, "app"); got != want {
			t.Errorf("%s: %v", replica, got)
		}
	}
	if !copies.Copies("left-out", "other") {
		t.Error("a filter holds for more than it says")
	}
	for _, test := range []struct {
		replica       string
		here, deleted bool
		want          bool
	}{
		{"first", true, true, true},
		{"first", true, false, false},
		{"first", false, true, false},
		{"left-out", true, true, false},
	} {
		e := ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: "v1"}, Replica: test.replica, Deleted: test.deleted}
		if got := copies.rechecks(ledger.Change{Entries: []ledger.Entry{e}, Here: test.here}); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
