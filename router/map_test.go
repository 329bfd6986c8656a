package router

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairlead-gateway/fairlead/geo"
)

func drawAddr(t *rapid.T, label string) netip.Addr {
	// Few bits that differ: neighbours are likelier to be drawn than in all of the Internet.
	n := rapid.Uint16().Draw(t, label)
	if rapid.Bool().Draw(t, label+" is IPv4") {
		return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n),
			rapid.SampledFrom([]byte{0, 1, 127, 128, 255}).Draw(t, "last")})
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n >> 8), byte(n)}
	a[15] = rapid.SampledFrom([]byte{0, 1, 128}).Draw(t, "last")
	return netip.AddrFrom16(a)
}

func drawNetworks(t *rapid.T) []geo.Network {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) geo.Network {
		addr := drawAddr(t, "network")
		p, _ := addr.Prefix(rapid.IntRange(8, addr.BitLen()).Draw(t, "length"))
		return geo.Network{Prefix: p, Point: drawPoint(t)}
	}), 0, 8).Draw(t, "networks")
}

// drawTable is a table as a database would make it.
func drawTable(t *rapid.T) *geo.Table {
	b := geo.NewBuilder(geo.Options{})
	next := byte(0)
	for _, step := range rapid.SliceOfN(rapid.ByteRange(1, 60), 0, 6).Draw(t, "steps") {
		if int(next)+int(step) > 255 {
			break
		}
		next += step
		number := b.Record(geo.Record{Point: drawPoint(t), Precise: true, Country: "NL"})
		for _, p := range []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{10, next}), 16),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, next}), 40),
		} {
			if err := b.Network(p, number); err != nil {
				t.Fatal(err)
			}
		}
	}
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestMapHolds: for every address the map has the order that the place of the address has, and so has every address
// within the scope that it gives; one bit wider, and some address has another, or the scope is all there is.
func TestMapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := drawReplicas(t)
		networks, table := geo.NewNetworks(drawNetworks(t)), drawTable(t)
		m, fleet := NewMap(replicas, networks, table), NewFleet(replicas)
		placed := geo.Locator{Networks: networks, Database: table.Locate}
		direct := func(a netip.Addr) []string { return fleet.Rank(placed.Locate(a)).Order().names() }
		addr := drawAddr(t, "addr")
		order, scope := m.Order(fleet, addr)
		want := direct(addr)
		if !slices.Equal(order.names(), want) || !scope.Contains(addr) {
			t.Fatalf("%s: %v in %s, want %v", addr, order.names(), scope, want)
		}
		for range 20 {
			if other := drawAddr(t, "other"); scope.Contains(other) && !slices.Equal(direct(other), want) {
				t.Fatalf("%s in %s: %v, but %s: %v", addr, scope, want, other, direct(other))
			}
		}
		if scope.Bits() > 0 {
			wider, _ := addr.Prefix(scope.Bits() - 1)
			if _, s := m.Order(fleet, sibling(scope)); wider.Contains(sibling(scope)) && s.Bits() < scope.Bits() {
				t.Fatalf("%s could be %s: its other half is of %s", scope, wider, s)
			}
		}
		for _, r := range replicas {
			if got, want := m.OrderHere(fleet, r.Name).names(),
				fleet.OrderHere(r.Name).names(); !slices.Equal(got, want) {
				t.Fatalf("beside %s: %v, want %v", r.Name, got, want)
			}
		}
	})
}

// sibling is the first address of the other half of the next wider prefix.
func sibling(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	bit := p.Bits() - 1
	b[bit/8] ^= 0x80 >> (bit % 8)
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestMapScope(t *testing.T) {
	network := func(p string, at geo.Point) geo.Network {
		return geo.Network{Prefix: netip.MustParsePrefix(p), Point: at}
	}
	for _, tt := range []struct {
		name     string
		networks []geo.Network
		addr     string
		first    string
		scope    string
	}{
		{"nobody is placed", nil, "10.0.0.1", "westus", "0.0.0.0/0"},
		{"another family, but for what is mapped", nil, "2001:db8::1", "westus", "2000::/3"},
		{"a network elsewhere", []geo.Network{network("10.128.0.0/9", amsterdam)}, "10.200.0.1", "europe",
			"10.128.0.0/9"},
		{"beside it", []geo.Network{network("10.128.0.0/9", amsterdam)}, "10.0.0.1", "westus", "10.0.0.0/9"},
		{"two side by side, in one place",
			[]geo.Network{network("10.0.0.0/9", amsterdam), network("10.128.0.0/9", amsterdam)}, "10.0.0.1", "europe",
			"10.0.0.0/8"},
		{"two side by side, with one order",
			[]geo.Network{network("10.0.0.0/9", amsterdam), network("10.128.0.0/9", geo.Point{Lat: 52, Lon: 5})},
			"10.0.0.1", "europe", "10.0.0.0/8"},
		{"where home is", []geo.Network{network("10.0.0.0/8", sanJose)}, "10.0.0.1", "westus", "0.0.0.0/0"},
		{"one address", []geo.Network{network("2001:db8::5/128", amsterdam)}, "2001:db8::5", "europe",
			"2001:db8::5/128"},
		{"beside one address", []geo.Network{network("2001:db8::5/128", amsterdam)}, "2001:db8::6", "westus",
			"2001:db8::6/127"},
		{"the other half of it", []geo.Network{network("2001:db8::5/128", amsterdam)}, "2001:db8:0:1::", "westus",
			"2001:db8:0:1::/64"},
		{"an exception", []geo.Network{network("10.0.0.0/8", amsterdam), network("10.9.0.0/16", toronto)}, "10.8.1.1",
			"europe", "10.8.0.0/16"},
	} {
		f := contoso()
		m := NewMap(f.Replicas(), geo.NewNetworks(tt.networks), nil)
		order, scope := m.Order(f, netip.MustParseAddr(tt.addr))
		if order[0].Name != tt.first || scope.String() != tt.scope {
			t.Errorf("%s: %s in %s, want %s in %s", tt.name, order[0].Name, scope, tt.first, tt.scope)
		}
		if m.Uniform() != (m.Orders() == 1) {
			t.Errorf("%s: uniform %v of %d orders", tt.name, m.Uniform(), m.Orders())
		}
	}
}

// What is up is not in the map: the order and its scope are those of the fleet as it was, and as it is.
func TestMapKnowsNoHealth(t *testing.T) {
	f := contoso()
	m := NewMap(f.Replicas(), geo.NewNetworks([]geo.Network{{Prefix: netip.MustParsePrefix("10.0.0.0/8"),
		Point: amsterdam}}), nil)
	ill := contoso().Replicas()
	for i := range ill {
		ill[i].Upstream.Up, ill[i].Operator = i%2 == 0, Drain
	}
	other := NewFleet(ill)
	for _, a := range []string{"10.1.1.1", "11.1.1.1", "::1"} {
		one, scope := m.Order(f, netip.MustParseAddr(a))
		two, same := m.Order(other, netip.MustParseAddr(a))
		if fmt.Sprint(one.names()) != fmt.Sprint(two.names()) || scope != same || two[0] != other.Replica(two[0].Name) {
			t.Errorf("%s: %v in %s, %v in %s", a, one.names(), scope, two.names(), same)
		}
	}
	if order, scope := m.Order(f, netip.Addr{}); order[0] != f.Home() || scope.IsValid() {
		t.Errorf("nobody: %v in %s", order.names(), scope)
	}
	if m.OrderHere(f, "nowhere") != nil {
		t.Error("a gateway beside none")
	}
}

// TestMapOfOtherReplicas: a map may be older or newer than the fleet.
func TestMapOfOtherReplicas(t *testing.T) {
	of := func(names ...string) (replicas []Replica) {
		for i, name := range names {
			replicas = append(replicas, Replica{Name: name, Point: geo.Point{Lon: float64(10 * (name[0] - 'a'))}, Home: i == 0})
		}
		return replicas
	}
	for _, tt := range []struct {
		name         string
		mapped, now  []string
		want, beside string // d
	}{
		{"the same", []string{"a", "c", "d"}, []string{"a", "c", "d"}, "[a c d]", "[d c a]"},
		{"one more", []string{"a", "d"}, []string{"a", "c", "d"}, "[a d c]", "[d a c]"},
		{"one more, before all", []string{"c", "d"}, []string{"a", "c", "d"}, "[c d a]", "[d c a]"},
		{"one less", []string{"a", "c", "d"}, []string{"c", "d"}, "[c d]", "[d c]"},
		{"another one in its place", []string{"a", "b", "d"}, []string{"a", "c", "d"}, "[a d c]", "[d a c]"},
		{"all others", []string{"a", "b"}, []string{"c", "d"}, "[c d]", "[d c]"},
		{"a gateway beside a newcomer", []string{"a", "b"}, []string{"a", "b", "d"}, "[a b d]", "[d b a]"},
		{"a gateway beside one that is gone", []string{"a", "d"}, []string{"a", "b"}, "[a b]", "[]"},
	} {
		m, f := NewMap(of(tt.mapped...), nil, nil), NewFleet(of(tt.now...))
		order, _ := m.Order(f, netip.Addr{})
		beside := m.OrderHere(f, "d")
		if fmt.Sprint(order.names()) != tt.want || fmt.Sprint(beside.names()) != tt.beside {
			t.Errorf("%s: %v, beside d %v, want %s, %s", tt.name, order.names(), beside.names(), tt.want, tt.beside)
		}
	}
}

// TestMapOfAnyFleet: whatever a map was made of, an order has each replica of the fleet once, and those that the map
// knows stand in it as they do in the map.
func TestMapOfAnyFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) (replicas []Replica) {
			for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching("[a-f]"), 1, 6, rapid.ID).Draw(t, label) {
				replicas = append(replicas, Replica{Name: name, Point: drawPoint(t)})
			}
			return replicas
		}
		mapped, now := NewFleet(some("mapped")), NewFleet(some("now"))
		networks := geo.NewNetworks(drawNetworks(t))
		m, addr := NewMap(mapped.Replicas(), networks, nil), drawAddr(t, "addr")
		order, _ := m.Order(now, addr)
		checkOrder := func(got Order, as []string) {
			for _, r := range got {
				if now.Replica(r.Name) != r {
					t.Fatalf("%s is none of the fleet's", r.Name)
				}
			}
			names := got.names()
			if sorted := slices.Sorted(slices.Values(names)); len(slices.Compact(sorted)) != len(now.Replicas()) ||
				len(names) != len(now.Replicas()) {
				t.Fatalf("%v of %d replicas", names, len(now.Replicas()))
			}
			known := slices.DeleteFunc(slices.Clone(as), func(name string) bool { return now.Replica(name) == nil })
			if !slices.Equal(names[:len(known)], known) {
				t.Fatalf("%v begins otherwise than %v", names, known)
			}
		}
		as, _ := m.Order(mapped, addr)
		checkOrder(order, as.names())
		for _, r := range now.Replicas() {
			as := m.OrderHere(mapped, r.Name).names()
			if mapped.Replica(r.Name) == nil {
				as = now.OrderHere(r.Name).names()
			}
			checkOrder(m.OrderHere(now, r.Name), as)
		}
	})
}
