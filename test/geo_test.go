package test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/miekg/dns"
)

// flatDatabase is one of the schema that ip-location-db's builds have, with one network.
func flatDatabase(network, city string, lat, lon float64) ([]byte, error) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "city ipv4", IPVersion: 4,
		IncludeReservedNetworks: true})
	if err != nil {
		return nil, err
	}
	_, parsed, err := net.ParseCIDR(network)
	if err != nil {
		return nil, err
	}
	err = tree.Insert(parsed, mmdbtype.Map{
		"city": mmdbtype.String(city), "country_code": mmdbtype.String("XX"),
		"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon),
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = tree.WriteTo(&b)
	return b.Bytes(), err
}

// nextToNobody is a database that places nobody who is in a test.
var nextToNobody = sync.OnceValue(func() string {
	data, err := flatDatabase("240.0.0.0/8", "Nowhere", 52.4, 4.9)
	path := filepath.Join(buildDir, "next-to-nobody.mmdb")
	if err == nil {
		err = os.WriteFile(path, data, 0o644)
	}
	if err != nil {
		panic(err)
	}
	return path
})

// TestDatabaseReplaced: a database that is replaced is used at once, by rename, by symbolic link and in place; what is
// damaged or half written changes nothing, and is told of.
func TestDatabaseReplaced(t *testing.T) {
	t.Parallel()
	const subnet = "198.51.100.0/24"
	dir := t.TempDir()
	path := filepath.Join(dir, "places.mmdb")
	write := func(name string, data []byte) { must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644)) }
	at := map[string][]byte{}
	for address, p := range map[string][2]float64{"127.0.0.21": {37.8, -122.4}, "127.0.0.22": {52.4, 4.9}} {
		data, err := flatDatabase(subnet, "where "+address+" is near", p[0], p[1])
		must(t, err)
		at[address] = data
	}
	write("places.mmdb", at["127.0.0.21"])
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", databases: []string{path},
		replicas: []replica{
			{"westeurope", "azure/westeurope", "127.0.0.22", "http://127.0.0.1:1", true, ""},
			{"westus", "azure/westus", "127.0.0.21", "http://127.0.0.1:2", false, ""},
		},
	})
	sees := func(how, want string) {
		t.Helper()
		waitFor(t, startBound, "the database that was put there "+how, func() error {
			if got, err := addressOf(g.dns, subnet); err != nil || got != want {
				return fmt.Errorf("%s, %w", got, err)
			}
			return nil
		})
	}
	refuses := func(how string, times float64, still string) {
		t.Helper()
		waitFor(t, startBound, "an error about a database "+how, func() error {
			if n := g.metric(t, "fairlead_geo_loads_total", `result="error"`); n != times {
				return fmt.Errorf("%v, not %v", n, times)
			}
			return nil
		})
		sees("before one "+how, still)
	}
	sees("at the start", "127.0.0.21")

	write("new", at["127.0.0.22"])
	must(t, os.Rename(filepath.Join(dir, "new"), path))
	sees("by rename", "127.0.0.22")

	write("places.mmdb", at["127.0.0.21"][:200])
	refuses("cut short", 1, "127.0.0.22")
	if testing.Short() { // a file is looked at every ten seconds
		return
	}
	write("places.mmdb", []byte("not a database"))
	refuses("that is none", 2, "127.0.0.22")
	write("places.mmdb", at["127.0.0.21"])
	sees("in place", "127.0.0.21")

	write("other", at["127.0.0.22"])
	must(t, os.Symlink("other", filepath.Join(dir, "link")))
	must(t, os.Rename(filepath.Join(dir, "link"), path))
	sees("by symbolic link", "127.0.0.22")
	waitFor(t, startBound, "all loads to be counted", func() error { // a database is in use before it is counted
		if n := g.metric(t, "fairlead_geo_loads_total", `result="ok"`); n != 3 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
}

// TestScopeOnTheWire: without a database the built-in table places clients, and the scope says how far an answer holds;
// the same for everybody, it is 0.
func TestScopeOnTheWire(t *testing.T) {
	t.Parallel()
	replicas := []replica{
		{"westeurope", "azure/westeurope", "127.0.0.22", "http://127.0.0.1:1", true, ""},
		{"westus", "azure/westus", "127.0.0.21", "http://127.0.0.1:2", false, ""},
	}
	type asked struct {
		subnet, address string
		least, most     uint8 // scope
	}
	for _, tt := range []struct {
		replicas []replica
		asked    []asked
	}{
		{replicas, []asked{
			{"130.225.0.0/24", "127.0.0.22", 1, 20}, // the Danish research network
			{"171.64.0.0/24", "127.0.0.21", 1, 20},  // Stanford University
			{"10.1.2.0/24", "127.0.0.22", 1, 8},     // nobody knows where
		}},
		{replicas[:1], []asked{{"130.225.0.0/24", "127.0.0.22", 0, 0}}},
		{twice(replicas[0]), []asked{{"171.64.0.0/24", "127.0.0.22", 0, 0}}}, // in one place
	}[:few(1, 3)] {
		g := startGateway(t, "gateway", "127.0.0.1", file{health: "{fronts: false}", replicas: tt.replicas,
			databases: []string{}})
		for _, q := range tt.asked {
			answer, err := askDNS("udp", g.dns, hostname, dns.TypeA, q.subnet)
			must(t, err)
			scope := answer.IsEdns0().Option[0].(*dns.EDNS0_SUBNET).SourceScope
			if got, err := addressOf(g.dns, q.subnet); err != nil || got != q.address || scope < q.least ||
				scope > q.most {
				t.Errorf("%s is sent to %s with scope %d, %v; want %s and %d to %d", q.subnet, got, scope, err,
					q.address, q.least, q.most)
			}
		}
		g.kill()
	}
}

func twice(r replica) []replica {
	other := r
	other.name, other.address, other.upstream, other.home = r.name+"2", "127.0.0.23", "http://127.0.0.1:3", false
	return []replica{r, other}
}
