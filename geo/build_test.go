package geo

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// entry is a record and its networks, separated by spaces.
type entry struct {
	Record
	networks string
}

func builderOf(t *testing.T, o Options, entries []entry) *Builder {
	t.Helper()
	b := NewBuilder(o)
	for _, e := range entries {
		number := b.Record(e.Record)
		for n := range strings.FieldsSeq(e.networks) {
			if err := b.Network(netip.MustParsePrefix(n), number); err != nil {
				t.Fatalf("%s: %v", n, err)
			}
		}
	}
	return b
}

func at(lat, lon float64, country string) Record {
	return Record{Point: Point{lat, lon}, Country: country, Precise: true}
}

func TestWhereRecordsAreTakenToBe(t *testing.T) {
	japan, _ := CountryPoint("JP")
	for _, tt := range []struct {
		name    string
		entries []entry
		addr    string
		want    Location
	}{
		{"a place", []entry{{at(50.85, 4.35, "BE"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{50.85, 4.35}, "BE", SourceDatabase}},
		{"a mapped address", []entry{{at(52.37, 4.9, "NL"), "192.0.2.0/24"}}, "::ffff:192.0.2.1",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
		{"a gap of one address", []entry{{at(52.37, 4.9, "NL"), "192.0.2.0/32 192.0.2.2/32"}}, "192.0.2.1",
			Location{Source: SourceNone}},
		{"beside it", []entry{{at(52.37, 4.9, "NL"), "192.0.2.0/24"}}, "192.0.3.1", Location{Source: SourceNone}},
		{"a place of no country", []entry{{at(52.37, 4.9, ""), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{52.37, 4.9}, "", SourceDatabase}},
		{"IPv6", []entry{{at(52.37, 4.9, "NL"), "2001:db8::/32"}}, "2001:db8::1",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
		{"a mapped network", []entry{{at(52.37, 4.9, "NL"), "::ffff:192.0.2.0/120"}}, "192.0.2.1",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},

		{"a /8 outweighs a /24", []entry{{at(47.2, -119.2, "US"), "10.0.0.0/8"},
			{at(47.8, -119.8, "US"), "192.0.2.0/24"}},
			"192.0.2.1", Location{Point{47.2, -119.2}, "US", SourceDatabase}},
		{"rounded, still in its cell", []entry{{at(52.998, -0.003, "GB"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{52.99, -0.01}, "GB", SourceDatabase}},
		{"rounded, in the south-west", []entry{{at(-23.003, -46.003, "BR"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{-23.01, -46.01}, "BR", SourceDatabase}},
		{"networks of a record add up", []entry{{at(47.2, -119.2, "US"), "10.0.0.0/25 10.0.1.0/25"},
			{at(47.8, -119.8, "US"), "192.0.2.0/24"}}, "192.0.2.1", Location{Point{47.5, -119.5}, "US",
			SourceDatabase}},
		{"IPv6 weighs 1 a record", []entry{{at(47.2, -119.2, "US"), "2001:db8::/32 2001:db9::/32"},
			{at(47.8, -119.8, "US"), "2001:dba::/48"}}, "2001:db8::1", Location{Point{47.5, -119.5}, "US",
			SourceDatabase}},
		{"two countries in one cell", []entry{{at(49.6, 6.1, "LU"), "192.0.2.0/25"},
			{at(49.4, 6.3, "FR"), "192.0.2.128/25"}},
			"192.0.2.200", Location{Point{49.4, 6.3}, "FR", SourceDatabase}},
		{"a record without networks", []entry{{at(47.2, -119.2, "US"), ""}, {Record{Country: "US"}, "192.0.2.0/24"}},
			"192.0.2.1", Location{middleOf("US"), "US", SourceCountry}},

		{"the country only", []entry{{at(47.2, -119.2, "US"), "10.0.0.0/24"}, {at(40.6, -74.2, "US"), "10.0.2.0/23"},
			{Record{Country: "US"}, "192.0.2.0/24"}}, "192.0.2.1", Location{Point{42.8, -89.2}, "US", SourceCountry}},
		{"a country of which no place is known", []entry{{Record{Country: "JP"}, "192.0.2.0/24"}}, "192.0.2.1",
			Location{japan, "JP", SourceCountry}},
		{"a vague point", []entry{{Record{Point: Point{37.751, -97.822}, Country: "JP"}, "192.0.2.0/24"}}, "192.0.2.1",
			Location{japan, "JP", SourceCountry}},
		{"zero", []entry{{at(0, 0, "JP"), "192.0.2.0/24"}}, "192.0.2.1", Location{japan, "JP", SourceCountry}},
		{"at sea", []entry{{at(0.5, -25.5, "JP"), "192.0.2.0/24"}}, "192.0.2.1", Location{japan, "JP", SourceCountry}},
		{"not on Earth", []entry{{at(91, 0, "JP"), "192.0.2.0/24"}}, "192.0.2.1", Location{japan, "JP", SourceCountry}},
		{"a country that there is not", []entry{{Record{Country: "ZZ"}, "192.0.2.0/24"}}, "192.0.2.1",
			Location{Source: SourceNone}},
		{"no country", []entry{{Record{}, "192.0.2.0/24"}}, "192.0.2.1", Location{Source: SourceNone}},
		{"places without a country are none's middle", []entry{{at(52.37, 4.9, ""), "10.0.0.0/8"},
			{Record{}, "192.0.2.0/24"}}, "192.0.2.1", Location{Source: SourceNone}},

		{"Fiji, both sides of the date line", []entry{{at(-16.8, 179.9, "FJ"), "10.0.0.0/24"},
			{at(-16.8, -179.9, "FJ"), "10.0.1.0/24"}, {Record{Country: "FJ"}, "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{-16.8, -180}, "FJ", SourceCountry}},
		{"Fiji, from the east", []entry{{at(-16.8, -179.8, "FJ"), "10.0.0.0/24"},
			{at(-16.8, 179.4, "FJ"), "10.0.1.0/24"},
			{Record{Country: "FJ"}, "192.0.2.0/24"}}, "192.0.2.1", Location{Point{-16.8, 179.8}, "FJ", SourceCountry}},
		{"Russia, from Moscow", []entry{{at(55.7, 37.6, "RU"), "10.0.0.0/24"}, {at(66.3, -179.2, "RU"), "10.0.1.0/24"},
			{Record{Country: "RU"}, "192.0.2.0/24"}}, "192.0.2.1", Location{Point{61, 109.2}, "RU", SourceCountry}},
		{"the date line itself, east", []entry{{at(-85, 180, "AQ"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{-85, 179.99}, "AQ", SourceDatabase}},
		{"the date line itself, west", []entry{{at(-85, -180, "AQ"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{-85, -180}, "AQ", SourceDatabase}},
		{"the South Pole", []entry{{at(-90, 0, "AQ"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{Point{-90, 0}, "AQ", SourceDatabase}},
		{"the North Pole is at sea", []entry{{at(90, 180, "JP"), "192.0.2.0/24"}}, "192.0.2.1",
			Location{japan, "JP", SourceCountry}},

		{"the lowest address", []entry{{at(52.37, 4.9, "NL"), "0.0.0.0/32"}}, "0.0.0.0",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
		{"the highest address", []entry{{at(52.37, 4.9, "NL"), "255.255.255.255/32"}}, "255.255.255.255",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
		{"all of IPv4", []entry{{at(52.37, 4.9, "NL"), "0.0.0.0/0"}}, "203.0.113.1",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
		{"all of IPv6", []entry{{at(52.37, 4.9, "NL"), "::/0"}}, "ffff::",
			Location{Point{52.37, 4.9}, "NL", SourceDatabase}},
	} {
		table, err := builderOf(t, Options{}, tt.entries).Table()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := table.Locate(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func middleOf(country string) Point {
	p, _ := CountryPoint(country)
	return p
}

// Where networks are longer than what is kept apart, most addresses of a block count.
func TestMajority(t *testing.T) {
	for _, tt := range []struct {
		name     string
		networks [3]string // in Amsterdam, in Quincy, nowhere
		addr     string
		want     Point
	}{
		{"three quarters", [3]string{"192.0.2.0/26", "192.0.2.64/26 192.0.2.128/25", ""}, "192.0.2.1", quincy},
		{"by addresses, not by networks", [3]string{"192.0.2.0/32 192.0.2.1/32 192.0.2.2/32", "192.0.2.128/25", ""},
			"192.0.2.1", quincy},
		{"a tie is the first record's", [3]string{"192.0.2.128/25", "192.0.2.0/25", ""}, "192.0.2.1", amsterdam},
		{"what no network has does not count", [3]string{"", "192.0.2.7/32", ""}, "192.0.2.200", quincy},
		{"what is nowhere does", [3]string{"", "192.0.2.7/32", "192.0.2.128/25"}, "192.0.2.7", Point{}},
		{"as long as what is kept", [3]string{"192.0.2.0/24", "192.0.3.0/24", ""}, "192.0.3.1", quincy},
		{"at the end", [3]string{"255.255.255.0/25", "255.255.255.254/31", ""}, "255.255.255.255", amsterdam},
		{"IPv6", [3]string{"2001:db8:0:1::/64", "2001:db8:0:8000::/49", ""}, "2001:db8:0:1::1", quincy},
		{"of one half of an address the first counts", [3]string{"2001:db8::1/128", "2001:db8::8/125", ""},
			"2001:db8::9",
			amsterdam},
	} {
		b := NewBuilder(Options{Bits4: 24})
		records := []int{b.Record(at(amsterdam.Lat, amsterdam.Lon, "NL")), b.Record(at(quincy.Lat, quincy.Lon, "US")),
			b.Record(Record{})}
		var list []twinNetwork
		for i, networks := range tt.networks {
			for n := range strings.FieldsSeq(networks) {
				list = append(list, twinNetwork{netip.MustParsePrefix(n), records[i]})
			}
		}
		slices.SortFunc(list, func(a, b twinNetwork) int { return a.prefix.Addr().Compare(b.prefix.Addr()) })
		for _, n := range list {
			if err := b.Network(n.prefix, n.record); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
		}
		table, err := b.Table()
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Locate(netip.MustParseAddr(tt.addr)); got.Point != tt.want {
			t.Errorf("%s: %+v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	for _, tt := range []struct{ first, second string }{
		{"192.0.2.0/24", "192.0.2.0/24"},
		{"192.0.2.0/24", "192.0.2.128/25"},
		{"192.0.2.128/25", "192.0.2.0/24"},
		{"192.0.2.0/24", "192.0.1.0/24"},
		{"0.0.0.0/0", "255.255.255.255/32"},
		{"::/0", "ffff::/16"},
		{"2001:db8::/32", "2001:db8::/65"},
		{"2001:db8::/64", "2001:db8::1/128"},
		{"2001:db8::8:0:0:0/80", "2001:db8::/80"},
		{"2001:db8::/32", "2001:db7::/32"},
	} {
		b := NewBuilder(Options{})
		record := b.Record(Record{})
		if err := b.Network(netip.MustParsePrefix(tt.first), record); err != nil {
			t.Errorf("%s: %v", tt.first, err)
		}
		if err := b.Network(netip.MustParsePrefix(tt.second), record); !errors.Is(err, ErrOrder) {
			t.Errorf("%s behind %s: %v, want %v", tt.second, tt.first, err, ErrOrder)
		}
	}
	b := NewBuilder(Options{})
	if err := b.Network(netip.Prefix{}, b.Record(Record{})); !errors.Is(err, ErrOrder) {
		t.Errorf("no prefix: %v, want %v", err, ErrOrder)
	}
}

func TestTooManyPlaces(t *testing.T) {
	for _, tt := range []struct {
		places int
		want   error
	}{{maxLocations, nil}, {maxLocations + 1, ErrPlaces}} {
		b := NewBuilder(Options{})
		for i := range tt.places {
			network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
			if err := b.Network(network, b.Record(at(52, 5, strconv.Itoa(i)))); err != nil {
				t.Fatal(err)
			}
		}
		table, err := b.Table()
		if !errors.Is(err, tt.want) {
			t.Fatalf("%d places: %v, want %v", tt.places, err, tt.want)
		}
		if err == nil &&
			(table.Cells() != tt.places || table.Locate(netip.MustParseAddr("10.0.255.253")).Country != "65533") {
			t.Errorf("%d places of %d, the last is %+v", table.Cells(), tt.places,
				table.Locate(netip.MustParseAddr("10.0.255.253")))
		}
	}
}

func TestReport(t *testing.T) {
	b := builderOf(t, Options{Bits4: 24}, []entry{
		{at(52.4, 4.9, "NL"), "1.0.0.0/24 2001:db8::/32"},
		{at(95, 4.9, "NL"), "1.0.1.0/24"},
		{at(0, 0, "NL"), "1.0.2.0/24"},
		{at(0.5, -25.5, "NL"), "1.0.3.0/25 1.0.3.128/25"},
		{Record{Country: "NL"}, "1.0.4.0/24"},
		{Record{}, "1.0.5.0/24"},
		{Record{}, "1.0.6.0/24"},
		{at(0, 0, "ZZ"), "1.0.7.0/24"},
		{Record{Country: "FR"}, "2001:db9::1/128 2001:db9::2/128 2001:db9:0:1::/64"},
		{Record{Country: "DE"}, ""},
	})
	if _, err := b.Table(); err != nil {
		t.Fatal(err)
	}
	want := Report{Networks: 13, Records: 10, NoPoint: 1, Zero: 2, Sea: 1, Vague: 5, Nowhere: 3, Long: 5}
	if got := b.Report(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	const text = "13 networks of 10 records; taken for their country: 5 vague ones, 1 at sea, 2 at 0,0, 1 without a point; nowhere: 3; 5 networks were too long"
	if got := want.String(); got != text {
		t.Errorf("%q, want %q", got, text)
	}
}
