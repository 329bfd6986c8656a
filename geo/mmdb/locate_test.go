package mmdb

import (
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
)

func countryPoint(t *testing.T, iso string) geo.Point {
	t.Helper()
	p, ok := geo.CountryPoint(iso)
	if !ok {
		t.Fatalf("no country %q", iso)
	}
	return p
}

func TestLocateCity(t *testing.T) {
	none := geo.Point{}
	us, gb, nl := countryPoint(t, "US"), countryPoint(t, "GB"), countryPoint(t, "NL")
	for _, tt := range []struct {
		name    string
		record  mmdbtype.Map
		source  geo.Source
		point   geo.Point
		country string
	}{
		{"a city", join(in("GB"), city("London"), at(51.51, -0.09, 20)), geo.SourceDatabase, geo.Point{Lat: 51.51, Lon: -0.09}, "GB"},
		{"a city that may be anywhere", join(in("GB"), city("London"), at(51.51, -0.09, 1000)), geo.SourceDatabase, geo.Point{Lat: 51.51, Lon: -0.09}, "GB"},
		{"a subdivision", join(in("US"), subdivision("CA"), at(34.05, -118.24, 500)), geo.SourceDatabase, geo.Point{Lat: 34.05, Lon: -118.24}, "US"},
		{"a postal code", join(in("US"), postal("94103"), at(37.77, -122.41, 200)), geo.SourceDatabase, geo.Point{Lat: 37.77, Lon: -122.41}, "US"},
		{"the middle of the USA", join(in("US"), at(37.751, -97.822, 1000)), geo.SourceCountry, us, "US"},
		{"the middle of the USA without a radius", join(in("US"), at(37.751, -97.822, 0)), geo.SourceCountry, us, "US"},
		{"the middle of the USA of old", join(in("US"), at(38, -97, 0)), geo.SourceCountry, us, "US"},
		{"a city in the middle of the USA", join(in("US"), city("Cheney"), at(37.751, -97.822, 20)), geo.SourceDatabase, geo.Point{Lat: 37.751, Lon: -97.822}, "US"},
		{"a country's default point", join(in("GB"), at(51.4964, -0.1224, 200)), geo.SourceCountry, gb, "GB"},
		{"a small country's default point", join(in("NL"), at(52.3824, 4.8995, 100)), geo.SourceCountry, nl, "NL"},
		{"near a point in no city", join(in("NL"), at(53.2, 6.6, 50)), geo.SourceDatabase, geo.Point{Lat: 53.2, Lon: 6.6}, "NL"},
		{"a point put there by hand", join(in("NL"), at(53.2, 6.6, 0)), geo.SourceDatabase, geo.Point{Lat: 53.2, Lon: 6.6}, "NL"},
		{"0,0", join(in("NL"), at(0, 0, 0)), geo.SourceCountry, nl, "NL"},
		{"0,0 in a city", join(in("NL"), city("Utrecht"), at(0, 0, 5)), geo.SourceCountry, nl, "NL"},
		{"on the equator", join(in("EC"), city("Mitad del Mundo"), at(0, -78.45, 5)), geo.SourceDatabase, geo.Point{Lat: 0, Lon: -78.45}, "EC"},
		{"a city without a point", join(in("NL"), city("Utrecht")), geo.SourceCountry, nl, "NL"},
		{"half a point", join(in("NL"), mmdbtype.Map{"location": mmdbtype.Map{"latitude": mmdbtype.Float64(52)}}), geo.SourceCountry, nl, "NL"},
		{"a point off the Earth", join(in("NL"), city("Utrecht"), at(95, 5, 5)), geo.SourceCountry, nl, "NL"},
		{"a country", in("NL"), geo.SourceCountry, nl, "NL"},
		{"registered there", inCountry("registered_country", "NL"), geo.SourceCountry, nl, "NL"},
		{"used here, registered there", join(in("US"), inCountry("registered_country", "NL")), geo.SourceCountry, us, "US"},
		{"a city in no country", join(city("Atlantis"), at(31, -24, 10)), geo.SourceDatabase, geo.Point{Lat: 31, Lon: -24}, ""},
		{"0,0 in no country", at(0, 0, 0), geo.SourceNone, none, ""},
		{"a country unheard of", in("ZZ"), geo.SourceNone, none, "ZZ"},
		{"nothing", mmdbtype.Map{}, geo.SourceNone, none, ""},
		{"not what it should be", mmdbtype.Map{"country": mmdbtype.String("NL")}, geo.SourceNone, none, ""},
	} {
		db := open(t, build(t, mmdbwriter.Options{DatabaseType: "GeoLite2-City"}, []entry{{"192.0.2.0/24", tt.record}}))
		got := db.Locate(addr("192.0.2.77"))
		if got.Source != tt.source || got.Point != tt.point || got.Country != tt.country {
			t.Errorf("%s: %+v, want %s at %v in %q", tt.name, got, tt.source, tt.point, tt.country)
		}
		if !got.Scope.Contains(addr("192.0.2.77")) {
			t.Errorf("%s: scope %v", tt.name, got.Scope)
		}
	}
}

func TestLocateScope(t *testing.T) {
	london := join(in("GB"), city("London"), at(51.51, -0.09, 20))
	entries := []entry{{"81.2.64.0/20", london}, {"2001:db8::/32", london}}
	v4 := entries[:1]
	both := mmdbwriter.Options{DatabaseType: "GeoLite2-City"}
	only4 := mmdbwriter.Options{DatabaseType: "GeoLite2-City", IPVersion: 4}
	only6 := mmdbwriter.Options{DatabaseType: "GeoLite2-City", DisableIPv4Aliasing: true}
	for _, tt := range []struct {
		name    string
		options mmdbwriter.Options
		entries []entry
		addr    string
		source  geo.Source
		scope   string
	}{
		{"IPv4 in an IPv6 tree", both, entries, "81.2.69.142", geo.SourceDatabase, "81.2.64.0/20"},
		{"mapped", both, entries, "::ffff:81.2.69.142", geo.SourceDatabase, "81.2.64.0/20"},
		{"IPv4, none", both, entries, "81.2.80.1", geo.SourceNone, "81.2.80.0/20"},
		{"IPv6", both, entries, "2001:db8:1::1", geo.SourceDatabase, "2001:db8::/32"},
		{"a zone", both, entries, "2001:db8:1::1%eth0", geo.SourceDatabase, "2001:db8::/32"},
		{"IPv6, none", both, entries, "2001:db9::1", geo.SourceNone, "2001:db9::/32"},
		{"IPv4 in an IPv4 tree", only4, v4, "81.2.69.142", geo.SourceDatabase, "81.2.64.0/20"},
		{"IPv4 in an IPv4 tree, none", only4, v4, "203.0.113.1", geo.SourceNone, "128.0.0.0/1"},
		{"IPv6, but an IPv4 tree", only4, v4, "2001:db8::1", geo.SourceNone, "::/0"},
		{"IPv4, but no tree for it", only6, entries[1:], "81.2.69.142", geo.SourceNone, "0.0.0.0/0"},
	} {
		got := open(t, build(t, tt.options, tt.entries)).Locate(addr(tt.addr))
		if got.Source != tt.source || got.Scope != prefix(tt.scope) {
			t.Errorf("%s: %s within %v, want %s within %s", tt.name, got.Source, got.Scope, tt.source, tt.scope)
		}
	}
	if got := open(t, build(t, both, entries)).Locate(netip.Addr{}); got != (geo.Location{Source: geo.SourceNone}) {
		t.Errorf("no address: %+v", got)
	}
}

func TestLocateCountry(t *testing.T) {
	db := open(t, build(t, mmdbwriter.Options{DatabaseType: "GeoIP2-Country"}, []entry{
		{"81.2.64.0/20", in("GB")},
		{"2001:db8::/32", inCountry("registered_country", "NL")},
	}))
	for _, tt := range []struct {
		addr string
		want geo.Location
	}{
		{"81.2.69.142", geo.Location{Point: countryPoint(t, "GB"), Country: "GB", Source: geo.SourceCountry, Scope: prefix("81.2.64.0/20")}},
		{"2001:db8::1", geo.Location{Point: countryPoint(t, "NL"), Country: "NL", Source: geo.SourceCountry, Scope: prefix("2001:db8::/32")}},
		{"81.2.80.1", geo.Location{Source: geo.SourceNone, Scope: prefix("81.2.80.0/20")}},
	} {
		if got := db.Locate(addr(tt.addr)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.addr, got, tt.want)
		}
	}
}

// Every address of a Scope must have the location of the one asked for.
func FuzzLocate(f *testing.F) {
	db := open(f, build(f, mmdbwriter.Options{DatabaseType: "GeoLite2-City"}, []entry{
		{"0.0.0.0/2", in("US")},
		{"10.0.0.0/8", join(in("GB"), city("London"), at(51.51, -0.09, 20))},
		{"10.1.2.0/24", join(in("US"), at(37.751, -97.822, 1000))},
		{"255.255.255.255/32", in("NL")},
		{"2001:db8::/32", in("FR")},
		{"2001:db8:8000::/33", join(in("NL"), city("Utrecht"), at(52.1, 5.1, 5))},
	}))
	for _, seed := range []string{"10.1.2.3", "10.0.0.0", "255.255.255.254", "::", "::ffff:10.1.2.3", "2001:db8::1", "2002:a01:203::"} {
		f.Add(addr(seed).AsSlice(), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	}
	f.Fuzz(func(t *testing.T, b, noise []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		a = a.Unmap()
		got := db.Locate(a)
		if !got.Scope.Contains(a) || got.Scope != got.Scope.Masked() {
			t.Fatalf("%v: scope %v", a, got.Scope)
		}
		other := within(got.Scope, noise)
		if other.Is4In6() {
			return
		}
		if there := db.Locate(other); there != got {
			t.Fatalf("%v: %+v, but %v: %+v", a, got, other, there)
		}
	})
}

// within is an address of p whose other bits are those of noise.
func within(p netip.Prefix, noise []byte) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range min(8*len(b), 8*len(noise)) {
		if bit := byte(0x80) >> (i % 8); i >= p.Bits() {
			b[i/8] |= noise[i/8] & bit
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func BenchmarkLocate(b *testing.B) {
	db := open(b, build(b, mmdbwriter.Options{DatabaseType: "GeoLite2-City"}, []entry{
		{"81.2.64.0/20", join(in("GB"), city("London"), subdivision("ENG"), at(51.51, -0.09, 20))},
	}))
	a := addr("81.2.69.142")
	b.ReportAllocs()
	for b.Loop() {
		db.Locate(a)
	}
}
