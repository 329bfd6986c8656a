package geo

import (
	"errors"
	"net/netip"
	"testing"
)

// edge is a network of a record.
type edge struct {
	prefix string
	record Record
}

// built adds all in their order, each with a record of its own unless it is the one before.
func built(t *testing.T, o Options, entries []edge) (*Table, Report) {
	t.Helper()
	b := NewBuilder(o)
	for _, e := range entries {
		if err := b.Network(netip.MustParsePrefix(e.prefix), b.Record(e.record)); err != nil {
			t.Fatal(err)
		}
	}
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	return table, b.Report()
}

var (
	edgeLondon  = Record{Point: Point{Lat: 51.51, Lon: -0.09}, Country: "GB", Precise: true}
	edgeUtrecht = Record{Point: Point{Lat: 52.09, Lon: 5.12}, Country: "NL", Precise: true}
	edgeTokyo   = Record{Point: Point{Lat: 35.69, Lon: 139.69}, Country: "JP", Precise: true}
)

// A table must be readable again wherever its first and its last network lie.
func TestTableAtTheEdges(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []edge
	}{
		{"nothing", nil},
		{"from the first address on", []edge{{"0.0.0.0/8", edgeLondon}, {"::/8", edgeUtrecht}}},
		{"to the last one", []edge{{"255.0.0.0/8", edgeLondon}, {"ff00::/8", edgeUtrecht}}},
		{"all of them", []edge{{"0.0.0.0/0", edgeLondon}, {"::/0", edgeUtrecht}}},
		{"single ones", []edge{{"0.0.0.0/32", edgeLondon}, {"255.255.255.255/32", edgeTokyo}, {"::/128", edgeUtrecht},
			{"ffff:ffff:ffff:ffff::/64", edgeTokyo}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, _ := built(t, Options{}, tt.entries)
			again, err := ReadTable(table.Encode())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range tt.entries {
				p := netip.MustParsePrefix(e.prefix)
				for _, a := range []netip.Addr{p.Addr(), lastAddr(p)} {
					if got := table.Locate(a); got.Country != e.record.Country || got != again.Locate(a) {
						t.Errorf("%s: %+v, read again %+v, want %s", a, got, again.Locate(a), e.record.Country)
					}
				}
			}
			for _, s := range []string{"0.0.0.0", "1.0.0.0", "100.1.2.3", "255.255.255.255", "::", "1::", "2001:db8::1",
				"ffff::"} {
				a := netip.MustParseAddr(s)
				if got := table.Locate(a); got != again.Locate(a) {
					t.Errorf("%s: %+v, read again %+v", a, got, again.Locate(a))
				}
			}
		})
	}
}

// A record none of whose networks is kept has no place, and no weight to divide by.
func TestRecordWithoutNetworks(t *testing.T) {
	table, report := built(t, Options{}, []edge{{"2001:db8::/65", edgeLondon}, {"2001:db8::8000:0:0:0/65", edgeTokyo}})
	if got := table.Locate(netip.MustParseAddr("2001:db8::8000:0:0:1")); got.Country != "GB" {
		t.Errorf("%+v, want what the first network of the /64 has", got)
	}
	if table.Cells() != 1 {
		t.Errorf("%d places, want that of the network that is kept", table.Cells())
	}
	if report.Long != 2 || report.Networks != 2 {
		t.Errorf("%+v, want two networks, both of them too long", report)
	}
}

func TestReportCountsRecords(t *testing.T) {
	_, report := built(t, Options{}, []edge{{"10.0.0.0/8", Record{}}, {"11.0.0.0/8", Record{Country: "ZZ"}},
		{"12.0.0.0/8", Record{}}})
	if report.Nowhere != 3 || report.Vague != 3 || report.Records != 3 {
		t.Errorf("%+v, want three records that are nowhere", report)
	}
}

func TestMostAddressesCount(t *testing.T) {
	table, report := built(t, Options{Bits4: 24}, []edge{
		{"10.0.0.0/26", edgeLondon}, {"10.0.0.64/26", edgeTokyo}, {"10.0.0.192/26", edgeTokyo},
		{"10.0.1.0/24", edgeUtrecht},
		{"10.0.3.0/25", edgeUtrecht}, {"255.255.255.0/25", edgeLondon},
	})
	for addr, want := range map[string]string{
		"9.255.255.255": "", "10.0.0.1": "JP", "10.0.0.129": "JP", "10.0.1.1": "NL", "10.0.2.1": "", "10.0.3.255": "NL",
		"10.0.4.0": "", "255.255.255.255": "GB",
	} {
		if got := table.Locate(netip.MustParseAddr(addr)); got.Country != want {
			t.Errorf("%s: %+v, want %q", addr, got, want)
		}
	}
	if report.Long != 5 {
		t.Errorf("%d networks were too long, want 5", report.Long)
	}
}

func TestNetworksInOrder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  string
		second string
	}{
		{"the same", "10.0.0.0/8", "10.0.0.0/8"},
		{"within", "10.0.0.0/8", "10.1.0.0/16"},
		{"around", "10.1.0.0/16", "10.0.0.0/8"},
		{"before", "10.1.0.0/16", "10.0.0.0/16"},
		{"behind all", "0.0.0.0/0", "10.0.0.0/8"},
		{"long ones", "10.0.0.8/30", "10.0.0.4/30"},
		{"the same of IPv6", "2001:db8::/32", "2001:db8::/32"},
		{"behind all of IPv6", "::/0", "2001:db8::/32"},
		{"mapped", "10.0.0.0/8", "::ffff:10.0.0.0/104"},
	} {
		b := NewBuilder(Options{Bits4: 24})
		r := b.Record(edgeLondon)
		if err := b.Network(netip.MustParsePrefix(tt.first), r); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := b.Network(netip.MustParsePrefix(tt.second), r); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v, want ErrOrder", tt.name, err)
		}
	}
}
