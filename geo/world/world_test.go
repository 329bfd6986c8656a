package world

import (
	"bytes"
	"compress/gzip"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Universities and national research networks: each stays where it is. The point is its own, or that of the network's
// seat. Tables move within a country from one edition to the next.
var wellKnown = []struct {
	name    string
	addr    string
	country string
	at      geo.Point
}{
	{"MIT", "18.9.22.1", "US", geo.Point{Lat: 42.36, Lon: -71.09}},
	{"Stanford", "171.64.64.64", "US", geo.Point{Lat: 37.43, Lon: -122.17}},
	{"Toronto", "128.100.1.1", "CA", geo.Point{Lat: 43.66, Lon: -79.4}},
	{"UNAM, Mexico City", "132.248.1.1", "MX", geo.Point{Lat: 19.33, Lon: -99.18}},
	{"São Paulo", "143.107.1.1", "BR", geo.Point{Lat: -23.56, Lon: -46.73}},
	{"ETH Zürich", "129.132.1.1", "CH", geo.Point{Lat: 47.38, Lon: 8.55}},
	{"Cambridge", "131.111.8.1", "GB", geo.Point{Lat: 52.2, Lon: 0.12}},
	{"Helsinki", "128.214.1.1", "FI", geo.Point{Lat: 60.17, Lon: 24.95}},
	{"Cape Town", "137.158.1.1", "ZA", geo.Point{Lat: -33.96, Lon: 18.46}},
	{"Tokyo", "133.11.0.1", "JP", geo.Point{Lat: 35.71, Lon: 139.76}},
	{"KAIST, Daejeon", "143.248.1.1", "KR", geo.Point{Lat: 36.37, Lon: 127.36}},
	{"Singapore", "137.132.1.1", "SG", geo.Point{Lat: 1.3, Lon: 103.77}},
	{"Melbourne", "128.250.1.1", "AU", geo.Point{Lat: -37.8, Lon: 144.96}},
	{"Auckland", "130.216.1.1", "NZ", geo.Point{Lat: -36.85, Lon: 174.77}},

	{"Stanford", "2607:f6d0::1", "US", geo.Point{Lat: 37.43, Lon: -122.17}},
	{"CANARIE, Ottawa", "2001:410::1", "CA", geo.Point{Lat: 45.42, Lon: -75.7}},
	{"UNAM, Mexico City", "2001:1218::1", "MX", geo.Point{Lat: 19.33, Lon: -99.18}},
	{"RNP, Brasília", "2001:12f0::1", "BR", geo.Point{Lat: -15.79, Lon: -47.88}},
	{"RIPE NCC, Amsterdam", "2001:67c:2e8::1", "NL", geo.Point{Lat: 52.37, Lon: 4.9}},
	{"SWITCH, Zürich", "2001:620::1", "CH", geo.Point{Lat: 47.38, Lon: 8.53}},
	{"RENATER, Paris", "2001:660::1", "FR", geo.Point{Lat: 48.85, Lon: 2.35}},
	{"TENET, Cape Town", "2001:4200::1", "ZA", geo.Point{Lat: -33.93, Lon: 18.42}},
	{"WIDE, Tokyo", "2001:200::1", "JP", geo.Point{Lat: 35.68, Lon: 139.77}},
	{"CERNET, Beijing", "2001:da8::1", "CN", geo.Point{Lat: 40, Lon: 116.33}},
	{"AARNet, Sydney", "2001:388::1", "AU", geo.Point{Lat: -33.87, Lon: 151.21}},
	{"REANNZ, Wellington", "2404:138::1", "NZ", geo.Point{Lat: -41.29, Lon: 174.78}},
}

func TestWellKnownAddresses(t *testing.T) {
	for _, tt := range wellKnown {
		got := Table().Locate(netip.MustParseAddr(tt.addr))
		if km := geo.Distance(got.Point, tt.at); got.Country != tt.country || got.Source != geo.SourceDatabase ||
			km > 1000 {
			t.Errorf("%s: %s is taken to be at %v in %s (%s), %.0f km from %v", tt.name, tt.addr, got.Point,
				got.Country,
				got.Source, km, tt.at)
		}
	}
}

func TestNobodysAddresses(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1",
		"192.168.1.1", "224.0.0.1", "255.255.255.255",
		"::", "::1", "fc00::1", "fe80::1", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if got := Table().Locate(netip.MustParseAddr(s)); got.Placed() {
			t.Errorf("%s is taken to be at %v in %s", s, got.Point, got.Country)
		}
	}
}

func TestTableSaysWhatItIs(t *testing.T) {
	table := Table()
	if table.Name == "" || table.Built.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || table.Cells() < 5000 {
		t.Errorf("%q of %v with %d places", table.Name, table.Built, table.Cells())
	}
	if name, built := Origin(); name != table.Name || built != table.Built {
		t.Errorf("without unpacking it: %q of %v, with: %q of %v", name, built, table.Name, table.Built)
	}
}

func TestPack(t *testing.T) {
	want := small(t).Encode()
	packed := Pack(small(t))
	got, err := Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Encode(), want) || !bytes.Equal(Pack(got), packed) {
		t.Error("what was packed is not what is unpacked")
	}
	for n := range packed {
		if _, err := Unpack(packed[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are a table", n, len(packed))
		}
	}
	packed[len(packed)/2] ^= 1
	if _, err := Unpack(packed); err == nil {
		t.Error("a bit turned over was not noticed")
	}
}

func small(t testing.TB) *geo.Table {
	b := geo.NewBuilder(geo.Options{Name: "small"})
	r := b.Record(geo.Record{Point: geo.Point{Lat: 52.4, Lon: 4.9}, Country: "NL", Precise: true})
	if err := b.Network(netip.MustParsePrefix("192.0.2.0/24"), r); err != nil {
		t.Fatal(err)
	}
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// bomb is as many MiB of zeros when it is unpacked: the same one again and again.
func bomb(t testing.TB, mib int) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(out.Bytes(), mib)
}

func TestUnpackIsBounded(t *testing.T) {
	const most = 1 << 20
	if _, err := unpack(bomb(t, 100), most); err != errTooLarge {
		t.Errorf("%v, want %v", err, errTooLarge)
	}
	lie := Pack(small(t)) // of its length, in the last four bytes
	copy(lie[len(lie)-4:], "\xff\xff\xff\xff")
	for _, data := range [][]byte{lie, bomb(t, 100)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpack(data, most)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 4*most {
			t.Errorf("%v, having taken %d bytes of memory", err, took)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(Pack(small(f)))
	f.Add(Pack(small(f))[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Unpack(data)
		if (table == nil) != (err != nil) {
			t.Fatalf("%v, %v", table, err)
		}
		if err == nil {
			table.Locate(netip.MustParseAddr("192.0.2.1"))
		}
	})
}
