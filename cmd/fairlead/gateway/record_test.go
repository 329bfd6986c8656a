package gateway

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// That a replica does not have what was deleted is the last word where no copy of it can be under way.
func TestGone(t *testing.T) {
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
	r, err := openRecord(c, metrics, log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.ledger.Close()
	newCopying(c, r, newEgress("", time.Now(), metrics), metrics, log)
	what := ledger.Reference{Repository: "app", Name: "v1"}
	if err := r.Delete(what, "first", ledger.Request{}); err != nil {
		t.Fatal(err)
	}
	for _, replica := range []string{"copied", "left-out", "read-only", "offline"} {
		r.Gone(what, replica)
	}
	known, _ := r.Known(what)
	if want := []string{"first", "left-out", "offline", "read-only"}; !slices.Equal(slices.Sorted(slices.Values(known.Confirmed)), want) {
		t.Errorf("confirmed by %v, want %v", known.Confirmed, want)
	}
	if err := r.Push(what, ledger.Content{Digest: digest(1)}, "first", ledger.Request{}); err != nil {
		t.Fatal(err)
	}
	r.Gone(what, "left-out") // an answer to the DELETE that came late
	if known, _ := r.Known(what); !slices.Equal(known.Confirmed, []string{"first"}) {
		t.Errorf("what was pushed again is said to be at %v", known.Confirmed)
	}
	var doubted []string
	r.doubt = func(e ledger.Entry, replica string) { doubted = append(doubted, e.Name+" at "+replica) }
	for _, replica := range []string{"first", "left-out"} {
		if err := r.Untag(what, digest(2), replica, ledger.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(doubted, []string{"v1 at first"}) {
		t.Errorf("whether the client deletes what he gave the tag to is looked at: %q", doubted)
	}
}
