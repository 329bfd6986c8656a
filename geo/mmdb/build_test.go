package mmdb

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
)

const built = 1_767_225_600 // 2026-01-01

// entry is one network of a test database.
type entry struct {
	network string
	record  mmdbtype.Map
}

// build makes a database with a tree for both families, unless options say otherwise.
func build(t testing.TB, options mmdbwriter.Options, entries []entry) []byte {
	t.Helper()
	if options.BuildEpoch == 0 {
		options.BuildEpoch = built
	}
	options.IncludeReservedNetworks = true
	tree, err := mmdbwriter.New(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, network, err := net.ParseCIDR(e.network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, e.record); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write makes a file of each.
func write(t testing.TB, files ...[]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, data := range files {
		path := filepath.Join(dir, string(rune('a'+i))+".mmdb")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func loaded(t testing.TB, files ...[]byte) (*geo.Table, geo.Report) {
	t.Helper()
	table, report, err := Load(0, write(t, files...)...)
	if err != nil {
		t.Fatal(err)
	}
	return table, report
}

// join merges maps into one record.
func join(parts ...mmdbtype.Map) mmdbtype.Map {
	record := mmdbtype.Map{}
	for _, p := range parts {
		for key, value := range p {
			record[key] = value
		}
	}
	return record
}

func inCountry(key, iso string) mmdbtype.Map {
	return mmdbtype.Map{mmdbtype.String(key): mmdbtype.Map{
		"iso_code": mmdbtype.String(iso), "names": mmdbtype.Map{"en": mmdbtype.String(iso)},
	}}
}

func in(iso string) mmdbtype.Map { return inCountry("country", iso) }

func inCity(name string) mmdbtype.Map {
	return mmdbtype.Map{"city": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name)}}}
}

func subdivision(iso string) mmdbtype.Map {
	return mmdbtype.Map{"subdivisions": mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String(iso)}}}
}

func postal(code string) mmdbtype.Map {
	return mmdbtype.Map{"postal": mmdbtype.Map{"code": mmdbtype.String(code)}}
}

// at is a point with an accuracy radius in km, 0 for none.
func at(lat, lon float64, radius uint16) mmdbtype.Map {
	location := mmdbtype.Map{"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon)}
	if radius > 0 {
		location["accuracy_radius"] = mmdbtype.Uint16(radius)
	}
	return mmdbtype.Map{"location": location}
}

// text is a record of the flat schema: keys and values.
func text(pairs ...string) mmdbtype.Map {
	record := mmdbtype.Map{}
	for i := 0; i < len(pairs); i += 2 {
		record[mmdbtype.String(pairs[i])] = mmdbtype.String(pairs[i+1])
	}
	return record
}

func flatAt(lat, lon float32) mmdbtype.Map {
	return mmdbtype.Map{"latitude": mmdbtype.Float32(lat), "longitude": mmdbtype.Float32(lon)}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

var (
	london  = join(in("GB"), inCity("London"), at(51.51, -0.09, 20))
	utrecht = join(in("NL"), inCity("Utrecht"), at(52.09, 5.12, 20))
	tokyo   = join(in("JP"), inCity("Tokyo"), at(35.69, 139.69, 20))
)
