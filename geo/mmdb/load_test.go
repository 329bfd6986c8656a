package mmdb

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
)

var (
	nowhere   geo.Point
	inLondon  = geo.Point{Lat: 51.51, Lon: -0.09}
	inUtrecht = geo.Point{Lat: 52.09, Lon: 5.12}
)

func countryPoint(t *testing.T, iso string) geo.Point {
	t.Helper()
	p, ok := geo.CountryPoint(iso)
	if !ok {
		t.Fatalf("no country %q", iso)
	}
	return p
}

// is compares with what is known to a hundredth of a degree.
func is(got geo.Location, source geo.Source, at geo.Point, country string) bool {
	return got.Source == source && got.Country == country && geo.Distance(got.Point, at) < 2
}

// A record that says nothing comes first: it must not decide what the others are.
func TestSchemas(t *testing.T) {
	us, gb, nl := countryPoint(t, "US"), countryPoint(t, "GB"), countryPoint(t, "NL")
	for _, tt := range []struct {
		name    string
		record  mmdbtype.Map
		source  geo.Source
		point   geo.Point
		country string
	}{
		{"a city", london, geo.SourceDatabase, inLondon, "GB"},
		{"a city that may be anywhere", join(in("GB"), inCity("London"), at(51.51, -0.09, 1000)), geo.SourceDatabase,
			inLondon, "GB"},
		{"a city with a number alone",
			join(in("GB"), mmdbtype.Map{"city": mmdbtype.Map{"geoname_id": mmdbtype.Uint32(2643743)}},
				at(51.51, -0.09, 200)),
			geo.SourceDatabase, inLondon, "GB"},
		{"a subdivision", join(in("US"), subdivision("CA"), at(34.05, -118.24, 500)), geo.SourceDatabase,
			geo.Point{Lat: 34.05, Lon: -118.24}, "US"},
		{"a postal code", join(in("US"), postal("94103"), at(37.77, -122.41, 200)), geo.SourceDatabase,
			geo.Point{Lat: 37.77, Lon: -122.41}, "US"},
		{"the middle of the USA", join(in("US"), at(37.751, -97.822, 1000)), geo.SourceCountry, us, "US"},
		{"the middle of the USA without a radius", join(in("US"), at(37.751, -97.822, 0)), geo.SourceCountry, us, "US"},
		{"the middle of the USA of old", join(in("US"), at(38, -97, 0)), geo.SourceCountry, us, "US"},
		{"a city in the middle of the USA", join(in("US"), inCity("Cheney"), at(37.751, -97.822, 20)),
			geo.SourceDatabase,
			geo.Point{Lat: 37.751, Lon: -97.822}, "US"},
		{"a country's default point", join(in("GB"), at(51.4964, -0.1224, 200)), geo.SourceCountry, gb, "GB"},
		{"a small country's default point", join(in("NL"), at(52.3824, 4.8995, 100)), geo.SourceCountry, nl, "NL"},
		{"near a point in no city", join(in("NL"), at(53.2, 6.6, 50)), geo.SourceDatabase,
			geo.Point{Lat: 53.2, Lon: 6.6},
			"NL"},
		{"a point put there by hand", join(in("NL"), at(53.2, 6.6, 0)), geo.SourceDatabase,
			geo.Point{Lat: 53.2, Lon: 6.6},
			"NL"},
		{"0,0", join(in("NL"), at(0, 0, 0)), geo.SourceCountry, nl, "NL"},
		{"0,0 in a city", join(in("NL"), inCity("Utrecht"), at(0, 0, 5)), geo.SourceCountry, nl, "NL"},
		{"at sea", join(in("NL"), inCity("Utrecht"), at(40, -40, 5)), geo.SourceCountry, nl, "NL"},
		{"on the equator", join(in("EC"), inCity("Mitad del Mundo"), at(0, -78.45, 5)), geo.SourceDatabase,
			geo.Point{Lat: 0, Lon: -78.45}, "EC"},
		{"a city without a point", join(in("NL"), inCity("Utrecht")), geo.SourceCountry, nl, "NL"},
		{"half a point",
			join(in("NL"), inCity("Utrecht"), mmdbtype.Map{"location": mmdbtype.Map{"latitude": mmdbtype.Float64(52)}}),
			geo.SourceCountry, nl, "NL"},
		{"a point off the Earth", join(in("NL"), inCity("Utrecht"), at(95, 5, 5)), geo.SourceCountry, nl, "NL"},
		{"a country", in("NL"), geo.SourceCountry, nl, "NL"},
		{"registered there", inCountry("registered_country", "NL"), geo.SourceCountry, nl, "NL"},
		{"used here, registered there", join(in("US"), inCountry("registered_country", "NL")), geo.SourceCountry, us,
			"US"},
		{"a city in no country", join(inCity("Utrecht"), at(52.09, 5.12, 10)), geo.SourceDatabase, inUtrecht, ""},
		{"0,0 in no country", at(0, 0, 0), geo.SourceNone, nowhere, ""},
		{"a country unheard of", in("ZZ"), geo.SourceNone, nowhere, ""},
		{"what can be no country", join(in("\xff\x00"), inCountry("registered_country", "nl")), geo.SourceNone, nowhere,
			""},
		{"a continent", mmdbtype.Map{"continent": mmdbtype.Map{"code": mmdbtype.String("EU")}}, geo.SourceNone, nowhere,
			""},
		{"of Enterprise", join(london, mmdbtype.Map{
			"city":   mmdbtype.Map{"confidence": mmdbtype.Uint16(60), "geoname_id": mmdbtype.Uint32(2643743)},
			"postal": mmdbtype.Map{"code": mmdbtype.String("EC1"), "confidence": mmdbtype.Uint16(20)},
			"traits": mmdbtype.Map{"user_type": mmdbtype.String("business"), "static_ip_score": mmdbtype.Float64(1.5)},
		}), geo.SourceDatabase, inLondon, "GB"},

		{"flat: a city", join(text("country_code", "NL", "city", "Utrecht", "state1", "Utrecht", "postcode", ""),
			flatAt(52.09, 5.12)), geo.SourceDatabase, inUtrecht, "NL"},
		{"flat: a state", join(text("country_code", "NL", "city", "", "state1", "Utrecht"), flatAt(52.09, 5.12)),
			geo.SourceDatabase, inUtrecht, "NL"},
		{"flat: a postal code", join(text("country_code", "NL", "postcode", "3511"), flatAt(52.09, 5.12)),
			geo.SourceDatabase,
			inUtrecht, "NL"},
		{"flat: a point of nothing", join(text("country_code", "NL"), flatAt(52.09, 5.12)), geo.SourceCountry, nl,
			"NL"},
		{"flat: a country", text("country_code", "NL"), geo.SourceCountry, nl, "NL"},
		{"flat: a country among other texts", text("country", "Netherlands", "country_code", "NL", "continent",
			"Europe"),
			geo.SourceCountry, nl, "NL"},
		{"flat: half a point", join(text("country_code", "NL", "city", "Utrecht"),
			mmdbtype.Map{"longitude": mmdbtype.Float32(5)}), geo.SourceCountry, nl, "NL"},
		{"flat: no country", join(text("city", "Utrecht"), flatAt(52.09, 5.12)), geo.SourceDatabase, inUtrecht, ""},
		{"flat: what can be no country", text("country_code", "NLD"), geo.SourceNone, nowhere, ""},
		{"flat: what stands for a proxy", text("country_code", "A1"), geo.SourceNone, nowhere, ""},
	} {
		table, report := loaded(t, build(t, mmdbwriter.Options{DatabaseType: "what its maker calls it"}, []entry{
			{"10.0.0.0/8", mmdbtype.Map{"traits": mmdbtype.Map{"is_anycast": mmdbtype.Bool(true)}}},
			{"192.0.2.0/24", tt.record},
		}))
		if got := table.Locate(addr("192.0.2.77")); !is(got, tt.source, tt.point, tt.country) {
			t.Errorf("%s: %+v, want %s at %v in %q", tt.name, got, tt.source, tt.point, tt.country)
		}
		if got := table.Locate(addr("10.1.2.3")); got.Source != geo.SourceNone {
			t.Errorf("%s: what says nothing is at %+v", tt.name, got)
		}
		if report.Records != 2 || report.Networks < 2 {
			t.Errorf("%s: %s", tt.name, report)
		}
	}
}

// scopeIn is the widest prefix around an address that a table has in one place.
func scopeIn(table *geo.Table, s string) string {
	classes := map[geo.Location]uint16{}
	d := geo.Divide(nil, table, func(l geo.Location) uint16 {
		if _, known := classes[l]; !known {
			classes[l] = uint16(len(classes))
		}
		return classes[l]
	})
	_, scope := d.Find(addr(s))
	return scope.String()
}

func TestFamilies(t *testing.T) {
	v4 := build(t, mmdbwriter.Options{DatabaseType: "city ipv4", IPVersion: 4},
		[]entry{{"81.2.64.0/20", london}, {"223.255.255.0/24", tokyo}})
	v6 := build(t, mmdbwriter.Options{DatabaseType: "city ipv6", BuildEpoch: built + 60},
		[]entry{{"2001:db8::/32", utrecht}, {"2a00:0:0:1::/64", tokyo}})
	both := []entry{{"81.2.64.0/20", london}, {"2001:db8::/32", utrecht}}
	for _, tt := range []struct {
		name      string
		files     [][]byte
		addr      string
		want      geo.Source
		in, scope string
	}{
		{"IPv4 in a tree of both", [][]byte{build(t, mmdbwriter.Options{}, both)}, "81.2.69.142", geo.SourceDatabase,
			"GB",
			"81.2.64.0/20"},
		{"mapped", [][]byte{build(t, mmdbwriter.Options{}, both)}, "::ffff:81.2.69.142", geo.SourceDatabase, "GB",
			"81.2.64.0/20"},
		{"behind it", [][]byte{build(t, mmdbwriter.Options{}, both)}, "81.2.80.1", geo.SourceNone, "", "81.2.80.0/20"},
		{"IPv6 in a tree of both", [][]byte{build(t, mmdbwriter.Options{}, both)}, "2001:db8:1::1", geo.SourceDatabase,
			"NL",
			"2001:db8::/32"},
		{"6to4 is no place", [][]byte{build(t, mmdbwriter.Options{}, both)}, "2002:5102:458e::1", geo.SourceNone, "",
			"2002::/15"},
		{"without aliases", [][]byte{build(t, mmdbwriter.Options{DisableIPv4Aliasing: true}, both)}, "81.2.69.142",
			geo.SourceDatabase, "GB", "81.2.64.0/20"},
		{"one record for all of IPv4, aliased", [][]byte{build(t, mmdbwriter.Options{},
			[]entry{{"0.0.0.0/0", london}})},
			"81.2.69.142", geo.SourceDatabase, "GB", "0.0.0.0/0"},
		{"mapped as well as plain", [][]byte{build(t, mmdbwriter.Options{DisableIPv4Aliasing: true},
			[]entry{{"81.2.64.0/20", london}, {"::ffff:81.2.64.0/116",
				tokyo}})}, "81.2.69.142", geo.SourceDatabase, "GB", "81.2.64.0/20"},
		{"split, IPv4", [][]byte{v4, v6}, "81.2.69.142", geo.SourceDatabase, "GB", "81.2.64.0/20"},
		{"split, IPv6", [][]byte{v4, v6}, "2001:db8::1", geo.SourceDatabase, "NL", "2001:db8::/32"},
		{"split, IPv6 named first", [][]byte{v6, v4}, "81.2.69.142", geo.SourceDatabase, "GB", "81.2.64.0/20"},
		{"IPv4 alone", [][]byte{v4}, "81.2.69.142", geo.SourceDatabase, "GB", "81.2.64.0/20"},
		{"IPv4 alone, asked for IPv6", [][]byte{v4}, "2001:db8::1", geo.SourceNone, "", "2000::/3"},
		{"IPv6 alone, asked for IPv4", [][]byte{v6}, "81.2.69.142", geo.SourceNone, "", "0.0.0.0/0"},
		{"what is longer than is kept apart", [][]byte{v6}, "2a00::1:0:0:0:1", geo.SourceDatabase, "JP", "2a00::/48"},
	} {
		table, _ := loaded(t, tt.files...)
		got, scope := table.Locate(addr(tt.addr)), scopeIn(table, tt.addr)
		if got.Source != tt.want || got.Country != tt.in || scope != tt.scope {
			t.Errorf("%s: %+v within %s, want %s in %q within %s", tt.name, got, scope, tt.want, tt.in, tt.scope)
		}
	}
	table, _ := loaded(t, v4, v6)
	if want := time.Unix(built+60, 0); table.Name != "city ipv4, city ipv6" || !table.Built.Equal(want) {
		t.Errorf("%q of %v, want both names and the later time", table.Name, table.Built)
	}
}

func TestBlocksOfMostAddresses(t *testing.T) {
	table, report, err := Load(24, write(t, build(t, mmdbwriter.Options{},
		[]entry{{"192.0.2.0/26", london}, {"192.0.2.128/25", utrecht}}))...)
	if got := table.Locate(addr("192.0.2.1")); err != nil || got.Country != "NL" ||
		scopeIn(table, "192.0.2.1") != "192.0.2.0/24" || report.Long != 2 {
		t.Errorf("%+v, %v, %s; want where most of the /24 are", got, err, report)
	}
}

func TestTwoFilesOfOneFamily(t *testing.T) {
	city := build(t, mmdbwriter.Options{DatabaseType: "city", IPVersion: 4}, []entry{{"192.0.2.0/24", london}})
	country := build(t, mmdbwriter.Options{DatabaseType: "country"},
		[]entry{{"192.0.2.0/25", in("NL")}, {"2001:db8::/32", in("NL")}})
	paths := write(t, city, country)
	_, _, err := Load(0, paths...)
	if !errors.Is(err, geo.ErrOrder) || !strings.Contains(err.Error(),
		"b.mmdb: it has networks of a family of which "+paths[0]+" has some") ||
		!strings.Contains(err.Error(), "192.0.2.0/25") {
		t.Errorf("%v, want one that names both files and the network", err)
	}
	if _, _, err := Load(0, paths[0], paths[0]); !errors.Is(err, geo.ErrOrder) {
		t.Errorf("the same file twice: %v", err)
	}
	if _, _, err := Load(0); err == nil {
		t.Error("no error without a file")
	}
}

func TestOtherSchemasAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []entry
		says    string
	}{
		{"numbers of networks", []entry{{"192.0.2.0/24", mmdbtype.Map{
			"autonomous_system_number":       mmdbtype.Uint32(64496),
			"autonomous_system_organization": mmdbtype.String("Contoso")}}},
			`"GeoLite2-ASN": its records have neither location nor country`},
		{"texts", []entry{{"192.0.2.0/24", text("range", "Contoso")}}, "neither location nor country"},
		{"empty records", []entry{{"192.0.2.0/24", mmdbtype.Map{}}}, "neither location nor country"},
		{"no networks", nil, "it has no networks"},
		{"a country that is a text", []entry{{"192.0.2.0/24", text("country", "NL")}}, "192.0.2.0/24"},
		{"a latitude that is a text", []entry{{"192.0.2.0/24", text("country_code", "NL", "latitude", "52")}},
			"192.0.2.0/24"},
	} {
		_, _, err := Load(0, write(t, build(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"}, tt.entries))...)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want one that says %q", tt.name, err, tt.says)
		}
	}
}

func TestFilesThatAreNoDatabase(t *testing.T) {
	dir := t.TempDir()
	pipe, huge := filepath.Join(dir, "pipe"), filepath.Join(dir, "huge")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(huge, nil, 0o600), os.Truncate(huge, maxSize+1)); err != nil {
		t.Fatal(err)
	}
	good := build(t, mmdbwriter.Options{}, []entry{{"192.0.2.0/24", london}})
	for _, tt := range []struct{ name, path, says string }{
		{"absent", filepath.Join(dir, "absent"), "no such file"},
		{"a directory", dir, "not a regular file"},
		{"a pipe", pipe, "not a regular file"},
		{"too large", huge, "1073741825 bytes, more than 1073741824"},
		{"empty", write(t, nil)[0], "invalid MaxMind DB file"},
		{"something else", write(t, []byte("hostname: registry.contoso.com\n"))[0], "invalid MaxMind DB file"},
		{"random bytes", write(t, noise(1, 100_000))[0], "invalid MaxMind DB file"},
		{"twice its metadata's mark", write(t, append(bytes.Clone(good), "\xab\xcd\xefMaxMind.com"...))[0], "a.mmdb"},
	} {
		if _, _, err := Load(0, tt.path); err == nil || !strings.Contains(err.Error(), tt.says) ||
			!strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: %v, want one that names the file and says %q", tt.name, err, tt.says)
		}
	}
	if _, _, err := Load(0, filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v is not fs.ErrNotExist", err)
	}
}

func TestFileWrittenWhileItIsRead(t *testing.T) {
	path := write(t, make([]byte, 4<<20))[0]
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for when := time.Unix(built, 0); ; when = when.Add(time.Second) {
			select {
			case <-stop:
				return
			default:
				os.Chtimes(path, when, when)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for range 10_000 { // the first will do, unless the writer had no turn
		if _, err := readFile(path); err != nil {
			if !strings.Contains(err.Error(), "written while it was read") {
				t.Error(err)
			}
			return
		}
	}
	t.Error("nothing was noticed")
}

func TestFileMayBeCutAfterwards(t *testing.T) {
	path := write(t, build(t, mmdbwriter.Options{}, []entry{{"192.0.2.0/24", london}}))[0]
	table, _, err := Load(0, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if got := table.Locate(addr("192.0.2.1")); !is(got, geo.SourceDatabase, inLondon, "GB") {
		t.Errorf("%+v after the file was cut", got)
	}
}
