package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/geo/world"
)

// database writes one of some thousand places, and of one record for each reason to leave its point out.
func database(t *testing.T, dir string, version int) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "city", IPVersion: version, BuildEpoch: 1_767_225_600,
		IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	insert := func(prefix string, country, city string, lat, lon float64) {
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, mmdbtype.Map{
			"country_code": mmdbtype.String(country), "city": mmdbtype.String(city),
			"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if version == 6 {
		insert("2001:db8::/32", "NL", "Utrecht", 52.09, 5.12)
	} else {
		for i := range 2000 {
			b := [4]byte{10, byte(i >> 8), byte(i), 0}
			insert(netip.PrefixFrom(netip.AddrFrom4(b), 24).String(), []string{"DE", "FR", "PL"}[i%3], "somewhere",
				46+float64(i%700)/100, 5+float64(i%1900)/100)
		}
		insert("192.0.2.0/24", "NL", "", 52, 5)
		insert("198.51.100.0/24", "NL", "at sea", 40, -40)
		insert("203.0.113.0/24", "NL", "0,0", 0, 0)
		insert("203.0.114.0/24", "NL", "off the Earth", 91, 0)
		insert("203.0.115.0/24", "", "", 1, 1)
		insert("203.0.116.0/25", "NL", "Utrecht", 52.09, 5.12)
	}
	path := filepath.Join(dir, "city-"+string(rune('0'+version))+".mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	databases := []string{database(t, dir, 4), database(t, dir, 6)}
	out := filepath.Join(dir, "table.bin")
	var first []byte
	for i := range 5 {
		var log bytes.Buffer
		if err := build(&log, out, "Contoso's", databases); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Fatalf("run %d: %d bytes that are not those of the first run, %d", i, len(data), len(first))
		}
		for _, says := range []string{
			"Contoso's of 2026-01-01: ", "2 vague ones", "1 at sea", "1 at 0,0", "1 without a point", "nowhere: 1;",
			"1 networks were too long",
		} {
			if !strings.Contains(log.String(), says) {
				t.Errorf("%q does not say %q", log.String(), says)
			}
		}
	}
	table, err := world.Unpack(first)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]geo.Source{
		"10.0.1.1": geo.SourceDatabase, "192.0.2.1": geo.SourceCountry, "198.51.100.1": geo.SourceCountry,
		"203.0.115.1":   geo.SourceNone,
		"203.0.116.200": geo.SourceDatabase, "2001:db8::1": geo.SourceDatabase, "2001:db9::1": geo.SourceNone,
	} {
		if got := table.Locate(netip.MustParseAddr(addr)); got.Source != want {
			t.Errorf("%s: %+v, want %s", addr, got, want)
		}
	}
}

func TestBuildLeavesTheTableWhereItFails(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "table.bin")
	if err := os.WriteFile(out, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, databases := range [][]string{nil, {filepath.Join(dir, "absent.mmdb")}, {out},
		{database(t, dir, 4), filepath.Join(dir, "absent.mmdb")}} {
		if err := build(&bytes.Buffer{}, out, "", databases); err == nil {
			t.Errorf("%v: no error", databases)
		}
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "the old one" {
		t.Errorf("%q, %v", data, err)
	}
}
