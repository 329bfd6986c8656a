package geo

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	amsterdam = Point{52.4, 4.9}
	quincy    = Point{47.2, -119.9}
)

func network(prefix string, at Point, country string) Network {
	return Network{Prefix: netip.MustParsePrefix(prefix), Point: at, Country: country}
}

func TestNetworksLocate(t *testing.T) {
	nested := []Network{
		network("10.0.0.0/8", amsterdam, "NL"),
		network("10.64.0.0/16", quincy, "US"),
		network("10.64.0.0/24", amsterdam, "NL"),
		network("2001:db8::/32", quincy, "US"),
	}
	neighbours := []Network{
		network("192.0.2.0/25", quincy, "US"),
		network("192.0.2.128/25", quincy, "US"),
		network("192.0.3.0/24", quincy, "US"),
	}
	for _, tt := range []struct {
		name     string
		networks []Network
		addr     string
		source   Source
		point    Point
	}{
		{"no network", nil, "10.1.2.3", SourceNone, Point{}},
		{"no network, IPv6", nil, "2001:db8::1", SourceNone, Point{}},
		{"only the other family", neighbours, "2001:db8::1", SourceNone, Point{}},
		{"beside all", nested, "11.0.0.1", SourceNone, Point{}},
		{"far from all", nested, "192.0.2.1", SourceNone, Point{}},
		{"in the outer, far from the inner", nested, "10.200.0.1", SourceNetworks, amsterdam},
		{"in the outer, beside the inner", nested, "10.65.0.1", SourceNetworks, amsterdam},
		{"in the middle one", nested, "10.64.128.1", SourceNetworks, quincy},
		{"in the middle one, beside the innermost", nested, "10.64.1.1", SourceNetworks, quincy},
		{"in the innermost", nested, "10.64.0.255", SourceNetworks, amsterdam},
		{"IPv6", nested, "2001:db8:ffff::1", SourceNetworks, quincy},
		{"IPv6, beside", nested, "2001:db9::1", SourceNone, Point{}},
		{"among neighbours alike", neighbours, "192.0.2.200", SourceNetworks, quincy},
		{"all of a family", []Network{network("0.0.0.0/0", quincy, "")}, "255.255.255.255", SourceNetworks, quincy},
		{"the end of a family", []Network{network("255.255.255.255/32", quincy, "")}, "255.255.255.255", SourceNetworks,
			quincy},
		{"before the end", []Network{network("255.255.255.255/32", quincy, "")}, "255.255.255.254", SourceNone,
			Point{}},
		{"an inner one like its outer", []Network{network("10.0.0.0/8", quincy, "US"),
			network("10.1.0.0/16", quincy, "US")},
			"10.1.0.1", SourceNetworks, quincy},
		{"the later of two", []Network{network("10.0.0.0/8", quincy, ""), network("10.0.0.0/8", amsterdam, "")},
			"10.0.0.1",
			SourceNetworks, amsterdam},
		{"a host's address for a network", []Network{network("10.1.2.3/8", quincy, "")}, "10.0.0.1", SourceNetworks,
			quincy},
		{"a mapped prefix", []Network{network("::ffff:10.0.0.0/104", quincy, "")}, "10.0.0.1", SourceNetworks, quincy},
		{"a prefix wider than the mapping", []Network{network("::ffff:0.0.0.0/80", quincy, "")}, "::1", SourceNetworks,
			quincy},
		{"a mapped address", nested, "::ffff:10.64.0.1", SourceNetworks, amsterdam},
		{"a zone", nested, "2001:db8::1%eth0", SourceNetworks, quincy},
		{"IPv6 networks hold no IPv4", []Network{network("::/0", quincy, "")}, "::ffff:10.0.0.1", SourceNone, Point{}},
		{"no prefix", []Network{{Point: quincy}}, "10.0.0.1", SourceNone, Point{}},
		{"no point", []Network{network("10.0.0.0/8", Point{91, 0}, "")}, "10.0.0.1", SourceNone, Point{}},
	} {
		got := NewNetworks(tt.networks).Locate(netip.MustParseAddr(tt.addr))
		if got.Source != tt.source || got.Point != tt.point {
			t.Errorf("%s: %+v, want %s at %v", tt.name, got, tt.source, tt.point)
		}
	}
}

func TestNoNetworks(t *testing.T) {
	for name, n := range map[string]*Networks{"nil": nil, "zero": {}, "empty": NewNetworks(nil)} {
		for _, addr := range []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1"), {}} {
			if got, want := n.Locate(addr), (Location{Source: SourceNone}); got != want {
				t.Errorf("%s, %v: %+v, want %+v", name, addr, got, want)
			}
		}
	}
}

func TestNewNetworksLeavesItsArgumentAlone(t *testing.T) {
	given := []Network{network("10.1.2.3/8", quincy, ""), network("1.0.0.0/8", amsterdam, "")}
	NewNetworks(given)
	if given[0] != network("10.1.2.3/8", quincy, "") {
		t.Errorf("changed to %v", given)
	}
}

// longest is the slow twin of Networks.Locate.
func longest(networks []Network, addr netip.Addr) Location {
	found, bits := Location{Source: SourceNone}, -1
	for _, n := range networks {
		if p := n.Prefix.Masked(); p.Contains(addr) && p.Bits() >= bits {
			found, bits = Location{Point: n.Point, Country: n.Country, Source: SourceNetworks}, p.Bits()
		}
	}
	return found
}

// drawAddr draws an address whose bits are all alike but for two bytes, so that
// networks and addresses meet.
func drawAddr(t *rapid.T, v4 bool, label string) netip.Addr {
	length := 16
	if v4 {
		length = 4
	}
	b := make([]byte, length)
	fill := rapid.SampledFrom([]byte{0, 0, 0x20, 0xff}).Draw(t, label+".fill")
	for i := range b {
		b[i] = fill
	}
	for _, at := range []int{0, length - 1} {
		if rapid.Bool().Draw(t, label+".vary") {
			b[at] = rapid.Byte().Draw(t, label+".byte")
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func drawNetworks(t *rapid.T, v4 bool) []Network {
	var networks []Network
	for range rapid.IntRange(0, 12).Draw(t, "networks") {
		addr := drawAddr(t, v4, "network")
		bits := rapid.IntRange(0, addr.BitLen()).Draw(t, "bits")
		at := rapid.SampledFrom([]Point{amsterdam, quincy}).Draw(t, "point")
		networks = append(networks, Network{Prefix: netip.PrefixFrom(addr, bits), Point: at})
	}
	return networks
}

// drawWithin draws an address of a prefix, often its first or last.
func drawWithin(t *rapid.T, p netip.Prefix) netip.Addr {
	b, last := p.Addr().AsSlice(), lastAddr(p).AsSlice()
	kind := rapid.IntRange(0, 3).Draw(t, "within")
	for i := range b {
		switch kind {
		case 0:
		case 1:
			b[i] = last[i]
		default:
			b[i] |= rapid.Byte().Draw(t, "byte") & (b[i] ^ last[i])
		}
	}
	if addr, _ := netip.AddrFromSlice(b); !addr.Is4In6() {
		return addr
	}
	return p.Addr() // mapped addresses are IPv4's, whatever IPv6 networks say
}

func TestNetworksAgreeWithTheirSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		networks := drawNetworks(t, v4)
		table := NewNetworks(networks)
		addr := drawAddr(t, v4, "addr")
		if len(networks) > 0 && rapid.Bool().Draw(t, "in a network") {
			addr = drawWithin(t, rapid.SampledFrom(networks).Draw(t, "its network").Prefix.Masked())
		}

		if got, want := table.Locate(addr), longest(networks, addr); got != want {
			t.Fatalf("%v: %+v, want %+v", addr, got, want)
		}
	})
}

func BenchmarkNetworksLocate(b *testing.B) {
	var networks []Network
	for i := range 10_000 {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		networks = append(networks, Network{Prefix: prefix, Point: Point{float64(i % 90), 0}})
	}
	table, addr := NewNetworks(networks), netip.MustParseAddr("10.17.5.3")
	b.ReportAllocs()
	for b.Loop() {
		table.Locate(addr)
	}
}
