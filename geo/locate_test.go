package geo

import (
	"net/netip"
	"testing"
)

func TestLocatorLocate(t *testing.T) {
	networks := NewNetworks([]Network{network("10.64.0.0/16", quincy, "US"), network("2001:db8::/48", quincy, "US")})
	database := func(netip.Addr) Location { return Location{Point: amsterdam, Country: "NL", Source: SourceDatabase} }
	none := func(netip.Addr) Location { return Location{Source: SourceNone} }
	for _, tt := range []struct {
		name    string
		locator Locator
		addr    string
		source  Source
		point   Point
	}{
		{"neither", Locator{}, "10.64.0.1", SourceNone, Point{}},
		{"neither, IPv6", Locator{}, "2001:db8::1", SourceNone, Point{}},
		{"networks only", Locator{Networks: networks}, "10.64.0.1", SourceNetworks, quincy},
		{"networks only, in none", Locator{Networks: networks}, "10.65.0.1", SourceNone, Point{}},
		{"networks win", Locator{networks, database}, "10.64.0.1", SourceNetworks, quincy},
		{"networks win, mapped", Locator{networks, database}, "::ffff:10.64.0.1", SourceNetworks, quincy},
		{"networks win, IPv6 and a zone", Locator{networks, database}, "2001:db8::1%eth0", SourceNetworks, quincy},
		{"database only", Locator{nil, database}, "10.64.0.1", SourceDatabase, amsterdam},
		{"both, in no network", Locator{networks, database}, "10.65.0.1", SourceDatabase, amsterdam},
		{"both, in no network, IPv6 and a zone", Locator{networks, database}, "2001:db8:1::1%eth0", SourceDatabase,
			amsterdam},
		{"the database knows nothing", Locator{networks, none}, "10.67.0.1", SourceNone, Point{}},
	} {
		got := tt.locator.Locate(netip.MustParseAddr(tt.addr))
		if got.Source != tt.source || got.Point != tt.point {
			t.Errorf("%s: %+v, want %s at %v", tt.name, got, tt.source, tt.point)
		}
	}
}

func TestLocatorPassesPlainAddresses(t *testing.T) {
	var asked netip.Addr
	l := Locator{Database: func(a netip.Addr) Location { asked = a; return Location{} }}
	for given, want := range map[string]string{
		"::ffff:192.0.2.1":      "192.0.2.1",
		"::ffff:192.0.2.1%eth0": "192.0.2.1",
		"fe80::1%eth0":          "fe80::1",
	} {
		l.Locate(netip.MustParseAddr(given))
		if asked != netip.MustParseAddr(want) {
			t.Errorf("asked for %v, want %v", asked, want)
		}
	}
}

func TestLocatorWithoutAnAddress(t *testing.T) {
	l := Locator{Database: func(netip.Addr) Location { t.Error("the database was asked"); return Location{} }}
	if got, want := l.Locate(netip.Addr{}), (Location{Source: SourceNone}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestLocationPlaced(t *testing.T) {
	for source, want := range map[Source]bool{
		SourceNetworks: true, SourceDatabase: true, SourceCountry: true, SourceNone: false, "": false,
	} {
		if got := (Location{Source: source}).Placed(); got != want {
			t.Errorf("%q: %v, want %v", source, got, want)
		}
	}
}
