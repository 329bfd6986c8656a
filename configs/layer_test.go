package configs

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

const layered = `hostname: registry.contoso.com
here: westus
replicas:
  - {name: westus, place: azure/westus, addresses: [192.0.2.1], upstream: http://127.0.0.1:1, home: true, bias: 7}
  - {name: eastus, place: azure/eastus, addresses: [192.0.2.2], upstream: http://127.0.0.1:2}
`

// made is what somebody makes by command.
func made(name, place, address, upstream string) LayerReplica {
	return LayerReplica{Name: name, Made: true, Keys: map[string]any{
		"place": place, "addresses": []any{address}, "upstream": upstream,
	}}
}

func shownFleet(c *Config) string {
	var all []string
	for _, r := range c.Replicas {
		text := fmt.Sprintf("%s %s %v", r.Name, r.State, r.Bias)
		if r.Home {
			text += " home"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestOver(t *testing.T) {
	keys := func(name, key string, value any) LayerReplica {
		return LayerReplica{Name: name, Keys: map[string]any{key: value}}
	}
	japan := made("japaneast", "azure/japaneast", "192.0.2.3", "http://127.0.0.1:3")
	for _, test := range []struct {
		name      string
		layer     Layer
		want      string
		overruled string
	}{
		{"nothing", Layer{}, "westus online 7 home, eastus online 0", ""},
		{"a key", Layer{Replicas: []LayerReplica{keys("westus", "state", "drain")}},
			"westus drain 7 home, eastus online 0", ""},
		{"another value", Layer{Replicas: []LayerReplica{keys("westus", "bias", 5.5)}},
			"westus online 5.5 home, eastus online 0", ""},
		{"home moves", Layer{Home: "eastus"}, "westus online 7, eastus online 0 home", ""},
		{"home to nobody", Layer{Home: "gone"}, "westus online 7 home, eastus online 0", ""},
		{"made", Layer{Replicas: []LayerReplica{japan}}, "westus online 7 home, eastus online 0, japaneast online 0", ""},
		{"made, and home", Layer{Home: "japaneast", Replicas: []LayerReplica{japan}},
			"westus online 7, eastus online 0, japaneast online 0 home", ""},
		{"deleted", Layer{Replicas: []LayerReplica{{Name: "eastus", Deleted: true}}}, "westus online 7 home", ""},
		{"home deleted", Layer{Replicas: []LayerReplica{{Name: "westus", Deleted: true}}}, "eastus online 0 home", ""},
		{"home deleted, and what it had moved to", Layer{Home: "japaneast", Replicas: []LayerReplica{
			{Name: "westus", Deleted: true}, {Name: "japaneast", Made: true, Deleted: true}}}, "eastus online 0 home", ""},
		{"made and declared: over the file", Layer{Replicas: []LayerReplica{
			made("eastus", "azure/japaneast", "192.0.2.3", "http://127.0.0.1:3")}},
			"westus online 7 home, eastus online 0", ""},
		{"a key of what the file has no more", Layer{Replicas: []LayerReplica{keys("gone", "state", "drain")}},
			"westus online 7 home, eastus online 0", ""},

		{"all deleted, on two sides", Layer{Replicas: []LayerReplica{
			{Name: "eastus", Deleted: true}, {Name: "westus", Deleted: true}}}, "westus online 7 home",
			"[{westus replicas: needs at least one}]"},
		{"nobody online", Layer{Replicas: []LayerReplica{
			keys("eastus", "state", "drain"), keys("westus", "state", "offline")}},
			"westus online 7 home, eastus drain 0", "[{westus state: no replica would be online}]"},
		{"no such state, and one that is good", Layer{Replicas: []LayerReplica{keys("eastus", "state", "asleep"),
			keys("westus", "bias", 3)}}, "westus online 3 home, eastus online 0",
			`[{eastus replicas[1].state: must be one of online, drain, offline}]`},
		{"no such key", Layer{Replicas: []LayerReplica{keys("eastus", "colour", "red")}},
			"westus online 7 home, eastus online 0", "[{eastus replicas[1].colour: unknown key}]"},
		{"an address that another has", Layer{Replicas: []LayerReplica{
			made("japaneast", "azure/japaneast", "192.0.2.2", "http://127.0.0.1:3")}},
			"westus online 7 home, eastus online 0", "[{japaneast addresses[0]: "},
	} {
		c := parsed(t, layered)
		got, overruled := c.Over(test.layer)
		if shownFleet(got) != test.want {
			t.Errorf("%s: %s, want %s", test.name, shownFleet(got), test.want)
		}
		if text := fmt.Sprint(overruled); (test.overruled == "") != (len(overruled) == 0) ||
			!strings.HasPrefix(text, strings.TrimSuffix(test.overruled, "}]")) {
			t.Errorf("%s: overruled %s, want %s", test.name, text, test.overruled)
		}
		if got.Here != "westus" {
			t.Errorf("%s: here is %q", test.name, got.Here)
		}
		if !reflect.DeepEqual(c.Replicas, parsed(t, layered).Replicas) {
			t.Errorf("%s: the file itself was changed", test.name)
		}
	}
}

// TestOverParts: what a file of replicas.d declares is laid over as well, an alias stays what it is for others, and
// values say where they come from.
func TestOverParts(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fairlead.yaml")
	write(t, path, `hostname: registry.contoso.com
replicas:
  - &one {name: westus, place: azure/westus, addresses: [192.0.2.1], upstream: http://127.0.0.1:1, home: true}
webhooks: []
`)
	if err := os.Mkdir(filepath.Join(dir, "replicas.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "replicas.d", "eastus.yaml"),
		"name: eastus\nplace: azure/eastus\naddresses: [192.0.2.2]\nupstream: http://127.0.0.1:2\nbias: 3\n")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	got, overruled := c.Over(Layer{Home: "eastus", Replicas: []LayerReplica{
		{Name: "eastus", Keys: map[string]any{"state": "drain"}}, {Name: "westus", Keys: map[string]any{"bias": 1}},
		made("japaneast", "azure/japaneast", "192.0.2.3", "http://127.0.0.1:3")}})
	if len(overruled) > 0 || shownFleet(got) != "westus online 1, eastus drain 3 home, japaneast online 0" {
		t.Errorf("%s, %v", shownFleet(got), overruled)
	}
	from := map[string]string{}
	for _, v := range got.Values() {
		from[v.Field] = strings.TrimPrefix(v.From, dir+"/")
	}
	for field, want := range map[string]string{
		"replicas[eastus].state": FromSettings, "replicas[eastus].bias": "replicas.d/eastus.yaml:5",
		"replicas[eastus].home": FromSettings, "replicas[japaneast].upstream": FromSettings,
		"replicas[westus].bias": FromSettings, "hostname": "fairlead.yaml:1", "replicas[japaneast].bias": FromDefault,
		"replicas[japaneast].name": FromSettings,
	} {
		if from[field] != want {
			t.Errorf("%s is from %q, want %q", field, from[field], want)
		}
	}
}

// TestOverAlwaysYieldsAFleet: whatever people change on however many sides, what comes of it keeps the rules, has one
// home and somebody online, the same everywhere.
func TestOverAlwaysYieldsAFleet(t *testing.T) {
	c := parsed(t, layered)
	rapid.Check(t, func(t *rapid.T) {
		all := []string{"westus", "eastus", "japaneast", "uksouth", "gone"}
		l := Layer{Home: rapid.SampledFrom(append(all, "")).Draw(t, "home")}
		for i, name := range rapid.Permutation(all).Draw(t, "names")[:rapid.IntRange(0, 5).Draw(t, "count")] {
			r := LayerReplica{Name: name, Deleted: rapid.Bool().Draw(t, "deleted"), Keys: map[string]any{}}
			if rapid.Bool().Draw(t, "made") {
				r = made(name, "azure/"+name, fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("http://127.0.0.1:%d", i+1))
			}
			if rapid.Bool().Draw(t, "stated") {
				r.Keys["state"] = rapid.SampledFrom([]string{"online", "drain", "offline", "asleep"}).Draw(t, "state")
			}
			l.Replicas = append(l.Replicas, r)
		}
		got, _ := c.Over(l)
		homes, online := 0, 0
		for _, r := range got.Replicas {
			if r.Home {
				homes++
			}
			if r.State == StateOnline {
				online++
			}
			if len(r.Addresses) == 0 || r.Upstream == nil || r.Addresses[0] == (netip.Addr{}) {
				t.Errorf("%+v", r)
			}
		}
		if homes != 1 || online == 0 {
			t.Errorf("%s of %+v", shownFleet(got), l)
		}
		if again, _ := c.Over(l); !slices.EqualFunc(again.Replicas, got.Replicas,
			func(a, b Replica) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s, then %s", shownFleet(got), shownFleet(again))
		}
	})
}

// TestOverWhileFilesAreReplaced: a file that is named, and that is just not there, has nothing to do with what commands
// have changed.
func TestOverWhileFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "one")
	write(t, filepath.Join(dir, "logins.json"), "{}")
	path := filepath.Join(dir, "fairlead.yaml")
	write(t, path, fmt.Sprintf(`hostname: registry.contoso.com
proxy: {tls: {certificate: one.pem, key: one.key}, access_log: logs/access.log}
state: %s/state
webhooks_ca: one.pem
replicas:
  - {name: westus, place: azure/westus, addresses: [192.0.2.1], upstream: https://127.0.0.1:1, home: true, ca: one.pem,
     credentials: logins.json}
  - {name: eastus, place: azure/eastus, addresses: [192.0.2.2], upstream: http://127.0.0.1:2}
`, dir))
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one.pem", "one.key", "logins.json", "logs"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, overruled := c.Over(Layer{Replicas: []LayerReplica{{Name: "eastus", Deleted: true}}})
	if len(overruled) > 0 || shownFleet(got) != "westus online 0 home" {
		t.Errorf("%s, %v", shownFleet(got), overruled)
	}
	if got.Proxy.TLS == nil || got.leaf != c.leaf || !reflect.DeepEqual(got.Replicas[0], c.Replicas[0]) {
		t.Errorf("%+v, want %+v", got.Replicas[0], c.Replicas[0])
	}
}

func TestAllowsUpstream(t *testing.T) {
	a := Admin{Upstreams: []string{".registry.internal", "192.0.2.1", "localhost"}}
	for upstream, want := range map[string]bool{
		"https://west.registry.internal": true, "http://a.b.Registry.Internal:5000": true, "http://192.0.2.1:5000": true,
		"http://localhost": true, "https://registry.internal": false, "https://evilregistry.internal": false,
		"https://registry.internal.evil.example": false, "https://evil.example/.registry.internal": false,
		"https://x.registry.internal@evil.example": false, "https://": false, "": false, "::": false,
	} {
		if got := a.AllowsUpstream(upstream); got != want {
			t.Errorf("%s: %t", upstream, got)
		}
	}
	if (Admin{}).AllowsUpstream("https://west.registry.internal") {
		t.Error("without a list commands may name an upstream")
	}
}
