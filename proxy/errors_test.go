package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// TestReasonsOf503: what the gateway answers in its own name can be told from what a registry says, and one cause from
// another, in the header and in the metric. A replica is named that has to do with it.
func TestReasonsOf503(t *testing.T) {
	t.Parallel()
	const put, tag = "PUT /v2/app/manifests/v1", "GET /v2/app/manifests/v1"
	allDown := func(g *rig) {
		for name := range points {
			g.set(name, down)
		}
	}
	enter := func(client string, requests int64) func(*rig) {
		return func(g *rig) {
			leave, why := g.proxy.room.enter(netip.MustParseAddr(client), requests*RequestMemory, continuing)
			if why != nil {
				g.t.Fatal(why)
			}
			g.t.Cleanup(leave)
		}
	}
	accepts := status(201)
	gives := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"schemaVersion":2}`) }
	for _, test := range []struct {
		name, line string
		replicas   http.HandlerFunc // all three
		change     func(*rigConfig)
		before     func(*rig)
		by         string
	}{
		{"the registry says so", put, status(503), nil, nil, "west; reason=nearest"},
		{"the registry says so, and none was up", put, status(503), nil, allDown, "west; reason=last_resort"},
		{"none is up, and none answers", put, breakOff, nil, allDown, "-; reason=unreachable"},
		{"requests", put, accepts, nil, func(g *rig) { enter("192.0.2.1", 4)(g); enter("192.0.2.2", 4)(g) },
			"-; reason=overloaded"},
		{"requests of one", put, accepts, nil, enter("127.0.0.1", 5), "-; reason=client_limit"},
		{"manifests", put, accepts, nil, func(g *rig) {
			done, err := g.proxy.room.reserve(t.Context(), smallManifest)
			if err != nil {
				g.t.Fatal(err)
			}
			g.t.Cleanup(done)
		}, "-; reason=no_room"},
		{"descriptors", put, breakOff, func(c *rigConfig) { c.OwnShortage = func(error) bool { return true } }, nil,
			"-; reason=shortage"},
		{"the ledger", put, accepts, func(c *rigConfig) { c.Ledger = &memoryLedger{fails: true} }, nil,
			"west; reason=unrecorded"},
		{"only older ones", tag, gives, func(c *rigConfig) {
			known := newMemoryLedger()
			_ = known.Push(ledger.Reference{Repository: "app", Name: "v1"}, ledger.Content{Digest: digest}, "gone",
				ledger.Request{})
			c.Ledger = known
		}, nil, "west; reason=stale"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			replicas := map[string]http.HandlerFunc{}
			for name := range points {
				replicas[name] = test.replicas
			}
			g := newRig(t, replicas, func(c *rigConfig) {
				c.Memory = Memory{Held: smallManifest * 4, Requests: 8 * RequestMemory}
				if test.change != nil {
					test.change(c)
				}
			})
			g.proxy.room.wait.set(1)
			if test.before != nil {
				test.before(g)
			}
			got := g.do(test.line, strings.NewReader("{}"))
			_, reason, _ := strings.Cut(test.by, "=")
			want := http.StatusServiceUnavailable
			if reason == "client_limit" {
				want = http.StatusTooManyRequests
			}
			g.want(reply{status: got.status, by: got.by}, want, test.by)
			if series := g.series(); len(series) != 1 || !strings.Contains(series[0], "reason="+reason+" ") {
				t.Errorf("counted as %q", series)
			}
		})
	}
}

// series are the labels of all requests that were counted.
func (g *rig) series() (all []string) {
	g.t.Helper()
	families, err := g.proxy.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "fairlead_proxy_requests_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			text := ""
			for _, label := range metric.GetLabel() {
				text += label.GetName() + "=" + label.GetValue() + " "
			}
			all = append(all, text)
		}
	}
	return all
}
