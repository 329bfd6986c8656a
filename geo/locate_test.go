package geo

import (
	"net/netip"
	"testing"
)

func TestLocatorLocate(t *testing.T) {
	networks := NewNetworks([]Network{network("10.64.0.0/16", quincy, "US"), network("2001:db8::/48", quincy, "US")})
	database := func(scope string) func(netip.Addr) Location {
		return func(netip.Addr) Location {
			return Location{Point: amsterdam, Country: "NL", Source: SourceDatabase, Scope: netip.MustParsePrefix(scope)}
		}
	}
	none := func(netip.Addr) Location {
		return Location{Source: SourceNone, Scope: netip.MustParsePrefix("10.66.0.0/15")}
	}
	scopeless := func(netip.Addr) Location { return Location{Point: amsterdam, Source: SourceCountry} }
	for _, tt := range []struct {
		name    string
		locator Locator
		addr    string
		source  Source
		point   Point
		scope   string
	}{
		{"neither", Locator{}, "10.64.0.1", SourceNone, Point{}, "0.0.0.0/0"},
		{"neither, IPv6", Locator{}, "2001:db8::1", SourceNone, Point{}, "::/0"},
		{"networks only", Locator{Networks: networks}, "10.64.0.1", SourceNetworks, quincy, "10.64.0.0/16"},
		{"networks only, in none", Locator{Networks: networks}, "10.65.0.1", SourceNone, Point{}, "10.65.0.0/16"},
		{"networks win", Locator{networks, database("10.64.0.0/24")}, "10.64.0.1", SourceNetworks, quincy, "10.64.0.0/16"},
		{"networks win, mapped", Locator{networks, database("10.64.0.0/24")}, "::ffff:10.64.0.1", SourceNetworks, quincy, "10.64.0.0/16"},
		{"database only", Locator{nil, database("10.0.0.0/8")}, "10.64.0.1", SourceDatabase, amsterdam, "10.0.0.0/8"},
		{"the networks' block is narrower", Locator{networks, database("10.0.0.0/8")}, "10.65.0.1", SourceDatabase, amsterdam, "10.65.0.0/16"},
		{"the database's block is narrower", Locator{networks, database("10.65.3.0/24")}, "10.65.3.1", SourceDatabase, amsterdam, "10.65.3.0/24"},
		{"the database's block has host bits", Locator{networks, database("10.65.3.7/24")}, "10.65.3.1", SourceDatabase, amsterdam, "10.65.3.0/24"},
		{"both blocks are alike", Locator{networks, database("10.65.0.0/16")}, "10.65.0.1", SourceDatabase, amsterdam, "10.65.0.0/16"},
		{"the database knows nothing", Locator{networks, none}, "10.67.0.1", SourceNone, Point{}, "10.66.0.0/15"},
		{"the database gives no scope", Locator{networks, scopeless}, "10.67.0.1", SourceCountry, amsterdam, "10.67.0.1/32"},
		{"the database gives another's scope", Locator{networks, database("192.0.2.0/24")}, "10.67.0.1", SourceDatabase, amsterdam, "10.67.0.1/32"},
		{"the database gives the other family's", Locator{networks, database("::/0")}, "10.67.0.1", SourceDatabase, amsterdam, "10.67.0.1/32"},
		{"IPv6 and a zone", Locator{networks, database("2001:db8::/32")}, "2001:db8:1::1%eth0", SourceDatabase, amsterdam, "2001:db8:1::/48"},
	} {
		got := tt.locator.Locate(netip.MustParseAddr(tt.addr))
		if got.Source != tt.source || got.Point != tt.point || got.Scope != netip.MustParsePrefix(tt.scope) {
			t.Errorf("%s: %+v, want %s at %v within %s", tt.name, got, tt.source, tt.point, tt.scope)
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
