package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// managed is a replica as /v1/replications shows it.
type managed struct {
	Name     string
	Fairlead struct {
		State string
		Home  bool
		Bias  float64
	}
}

// manage has a gateway change a replica.
func (g *gateway) manage(t *testing.T, method, name, body string, want int) {
	t.Helper()
	code, answer, err := g.tellAdmin(method, "/v1/replications/"+name, body)
	if err != nil || code != want {
		t.Fatalf("%s: %s %s %s: status %d, %v: %s", g.name, method, name, body, code, err, answer)
	}
}

// managedFleet is what a gateway says of all replicas but those that leave.
func (g *gateway) managedFleet(t *testing.T) string {
	t.Helper()
	var list struct{ Value []managed }
	g.adminJSON(t, "/v1/replications", &list)
	var all []string
	for _, r := range list.Value {
		if r.Fairlead.State != "leaving" {
			all = append(all, fmt.Sprintf("%s %s %v %t", r.Name, r.Fairlead.State, r.Fairlead.Bias, r.Fairlead.Home))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// managedAs waits until all gateways say the same of the fleet, and that is so.
func managedAs(t *testing.T, gateways []*gateway, what string, so func(fleet string) bool) {
	t.Helper()
	waitFor(t, startBound, what, func() error {
		var all []string
		for _, g := range gateways {
			all = append(all, g.managedFleet(t))
		}
		if same := slices.Compact(slices.Clone(all)); len(same) > 1 || !so(same[0]) {
			return fmt.Errorf("%q", all)
		}
		return nil
	})
}

func has(parts ...string) func(fleet string) bool {
	return func(fleet string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(fleet, part) })
	}
}

// TestOneManagement: what is changed through one gateway holds at all, through a cut with changes on both sides of it,
// and when the gateway that has acknowledged it is killed at once.
func TestOneManagement(t *testing.T) {
	t.Parallel()
	long(t)
	r := newRegionsWith(t, func(f *file) { f.upstreams, f.state = "[.example.test]", t.TempDir() })
	west, europe := r.gateways[0], r.gateways[2]

	began := time.Now()
	west.manage(t, "PATCH", "eastus", `{"fairlead": {"bias": 7}}`, 200)
	managedAs(t, r.gateways, "a change to be everywhere", has("eastus online 7"))
	t.Logf("figure: changed through one, in force at all after %v", time.Since(began).Round(time.Millisecond))

	r.network.Cut(0, 1)
	r.network.Cut(1, 0)
	r.network.Cut(0, 2)
	r.network.Cut(2, 0)
	west.manage(t, "PATCH", "westeurope", `{"fairlead": {"home": true}}`, 200)
	west.manage(t, "PATCH", "eastus", `{"fairlead": {"bias": 8}}`, 200)
	west.manage(t, "PATCH", "westus", `{"fairlead": {"bias": 1}}`, 200)
	west.manage(t, "DELETE", "eastus", "", 202)
	europe.manage(t, "PATCH", "eastus", `{"fairlead": {"home": true}}`, 200)
	europe.manage(t, "PATCH", "eastus", `{"fairlead": {"bias": 9}}`, 200)
	europe.manage(t, "PATCH", "westeurope", `{"fairlead": {"state": "drain"}}`, 200)
	europe.manage(t, "DELETE", "westus", "", 202)
	r.network.Heal()
	// The later write of each key holds: eastus is there, as it was left on the other side, and westus is deleted.
	managedAs(t, r.gateways, "all to agree after a cut", func(fleet string) bool {
		return strings.Count(fleet, "true") == 1 && has("eastus online 9 true", "westeurope drain 0")(fleet) &&
			!strings.Contains(fleet, "westus")
	})
	for _, g := range r.gateways {
		waitFor(t, startBound, g.name+" to know who changed what", func() error { return g.knowsChanges(t) })
	}

	rounds := few(2, 5)
	for i := range rounds {
		g, bias := r.gateways[i%2], 20+i // of westeurope, whose own gateway is asked, too
		g.manage(t, "PATCH", "westeurope", fmt.Sprintf(`{"fairlead": {"bias": %d}}`, bias), 200)
		g.kill()
		g.restart()
		managedAs(t, r.gateways, "what was acknowledged to be everywhere", has(fmt.Sprintf("westeurope drain %d", bias)))
	}
	t.Logf("figure: %d gateways killed right after they had acknowledged a change: none lost", rounds)
}

// knowsChanges: a gateway knows what was changed on both sides of the cut.
func (g *gateway) knowsChanges(t *testing.T) error {
	var made struct {
		Value []struct{ Through, Key, Old, New string }
	}
	g.adminJSON(t, "/v1/changes", &made)
	seen := map[string]bool{}
	for _, c := range made.Value {
		seen[c.Through+" "+c.Key] = true
	}
	for _, change := range []string{"gw-westus replicas[eastus].bias", "gw-westus replicas[westus].bias",
		"gw-westus replicas[eastus]", "gw-westeurope replicas[westeurope].state", "gw-westeurope replicas[westus]"} {
		if !seen[change] {
			return fmt.Errorf("nothing of %s: %v", change, seen)
		}
	}
	return nil
}

// TestReplicationCommands: the fleet is managed as by az acr replication, while its file stays as it is. A restart
// loses nothing of that.
func TestReplicationCommands(t *testing.T) {
	t.Parallel()
	registries := startRegistries(t, memoryKind, splitReplicas)
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{interval: 1s, timeout: 1s, fronts: false}", networks: splitNetworks, replication: copyAll,
		replicas: withUpstreams(splitReplicas[:2], registries), state: t.TempDir(),
		upstreams: fmt.Sprintf("[%q]", registries[2].ip()),
	})
	run := func(want int, args ...string) string {
		t.Helper()
		out, code := g.asks(t, append(append([]string{"replication"}, args...), "-r", "contoso")...)
		if code != want {
			t.Fatalf("%v: exit code %d: %s", args, code, out)
		}
		return out
	}
	must(t, cranePush(t, newImage(t, "amd64"), g.listen+"/app:v1"))
	run(1, "create", "-l", "westeurope", "--address", "127.0.0.13", "--upstream", "http://evil.example.test")
	run(0, "create", "-l", "westeurope", "--address", "127.0.0.13", "--upstream", registries[2].url())
	waitFor(t, moveBound, "it to be filled", func() error {
		state := run(0, "show", "-n", "westeurope", "--query", "properties.status.displayStatus", "-o", "tsv")
		if !strings.Contains(state, "Ready\n") {
			return fmt.Errorf("%q", state)
		}
		return nil
	})
	if code, err := registries[2].has("app"); err != nil {
		t.Errorf("Ready, and %d: %v", code, err)
	}
	run(0, "update", "-n", "westus", "--region-endpoint-enabled", "false")
	run(0, "update", "-n", "eastus", "--home")
	run(1, "delete", "-n", "eastus", "--yes")
	run(3, "delete", "-n", "mars", "--yes")
	run(2, "update", "-n", "westus", "--region-endpoint-enabled", "maybe")
	const want = "eastus true true\nwesteurope true false\nwestus false false\n"
	listed := func() string {
		out := run(0, "list", "-o", "tsv", "--query",
			"sort_by([],&name)[].join(' ', [name, to_string(properties.regionEndpointEnabled), to_string(fairlead.home)])")
		return strings.Replace(out, "--registry means nothing here: this gateway is of one registry\n", "", 1)
	}
	if got := listed(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	g.kill()
	g.restart()
	if got := listed(); got != want {
		t.Errorf("after a restart: %q, want %q", got, want)
	}
	run(0, "delete", "-n", "westeurope", "--force")
	if out, code := g.asks(t, "config", "reset", "eastus"); code != 0 {
		t.Fatal(out)
	}
	if out, code := g.asks(t, "config", "reset", "westus"); code != 0 {
		t.Fatal(out)
	}
	if got := listed(); got != "eastus true false\nwestus true true\n" {
		t.Errorf("after a reset: %q", got)
	}
	if out, code := g.asks(t, "changes"); code != 0 || strings.Count(out, "\n") < 8 {
		t.Errorf("changes: %d %s", code, out)
	}
}
