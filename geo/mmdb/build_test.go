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
)

const built = 1_767_225_600 // 2026-01-01

// entry is one network of a test database.
type entry struct {
	network string
	record  mmdbtype.Map
}

// build makes a database with a tree for both families, unless options say
// otherwise.
func build(t testing.TB, options mmdbwriter.Options, entries []entry) []byte {
	t.Helper()
	options.BuildEpoch = built
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

func open(t testing.TB, data []byte) *Database {
	t.Helper()
	db, err := Open(write(t, data))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.mmdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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

func city(name string) mmdbtype.Map {
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

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
