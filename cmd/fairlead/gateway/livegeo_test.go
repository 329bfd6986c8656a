package gateway

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/router"
)

const geoFile = `hostname: registry.contoso.com
geo: {networks: [{network: 10.1.0.0/16, place: azure/westus}]}
replicas:
  - {name: west, place: azure/westus, addresses: [127.0.0.1], upstream: "http://127.0.0.1:5001", home: true}
  - {name: europe, place: azure/westeurope, addresses: [127.0.0.2], upstream: "http://127.0.0.2:5001", home: false}
`

// TestGeoPrepare: each kind of edit counts when it is swapped in, and not before. One that concerns nobody's place makes
// no map anew.
func TestGeoPrepare(t *testing.T) {
	for _, tt := range []struct{ name, old, now, client, before, after string }{
		{"nothing", "", "", "10.1.0.1", "west", ""},
		{"another state", "home: false", "state: drain", "10.1.0.1", "west", ""},
		{"a bias", "home: true", "home: true, bias: 900", "10.1.0.1", "west", "europe"},
		{"a replica's place", "name: west, place: azure/westus", "name: west, place: azure/southafricanorth", "10.1.0.1", "west", "europe"},
		{"a network's place", "place: azure/westus}]", "place: azure/westeurope}]", "10.1.0.1", "west", "europe"},
		{"a network", "10.1.0.0/16", "10.2.0.0/16", "10.2.0.1", "west", "west"},
		{"a longer network", "[{net", "[{network: 10.1.0.1, place: azure/westeurope}, {net", "10.1.0.1", "west", "europe"},
		{"home", "home: true}\n  - {name: europe", "home: false}\n  - {home: true, name: europe", "172.16.0.1", "west", "europe"},
		{"no replica of that name", "name: west,", "name: east,", "10.1.0.1", "west", "east"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			is := strings.Replace(geoFile, tt.old, tt.now, 1)
			if tt.name == "home" {
				is = strings.Replace(is, ", home: false}\n", "}\n", 2)
			}
			c, next := parsed(t, geoFile), parsed(t, is)
			g, err := NewGeo(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			first := func(c *configs.Config) string {
				order, _ := g.Orders().Order(router.NewFleet(Replicas(c)), netip.MustParseAddr(tt.client))
				return order[0].Name
			}
			was := g.now.Load()
			swap, err := g.Prepare(next)
			if err != nil {
				t.Fatal(err)
			}
			if got := first(c); got != tt.before || g.now.Load() != was {
				t.Errorf("before the swap %s is first, want %s", got, tt.before)
			}
			swap()
			switch {
			case tt.after == "" && g.now.Load() != was:
				t.Error("a map was made of what is the same")
			case tt.after != "" && first(next) != tt.after:
				t.Errorf("%s is first, want %s", first(next), tt.after)
			}
			if again, err := g.Prepare(next); err != nil {
				t.Error(err)
			} else {
				now := g.now.Load()
				if again(); g.now.Load() != now {
					t.Error("the same again makes a map anew")
				}
			}
		})
	}
}

// TestGeoPrepareRefuses: a database that cannot be read refuses the edit, and what was there goes on.
func TestGeoPrepareRefuses(t *testing.T) {
	g, err := NewGeo(parsed(t, geoFile), nil)
	if err != nil {
		t.Fatal(err)
	}
	was, next := g.now.Load(), parsed(t, geoFile)
	next.Geo.Databases = []string{"../../../configs/demo.yaml"}
	if _, err := g.Prepare(next); err == nil || !strings.Contains(err.Error(), "geo.database") || g.now.Load() != was {
		t.Errorf("a file that is no database: %v", err)
	}
}

func parsed(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
