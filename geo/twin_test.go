package geo

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// twin says what a table and a division say, in the obvious way: it looks at every network.
type twin struct {
	bits4    int
	records  []Record
	networks []twinNetwork // in the order of their addresses, first those of IPv4
	own      []Network     // the operator's
}

type twinNetwork struct {
	prefix netip.Prefix
	record int
}

// twinRecords are each at a cell's centre or in a country without any, so that where it is taken to be is plain.
var twinRecords = []Record{
	{Point: amsterdam, Country: "NL", Precise: true},
	{Point: quincy, Country: "US", Precise: true},
	{Point: amsterdam, Country: "NL", Precise: true},
	{Country: "JP"},
	{},
	{Point: Point{}, Country: "BR", Precise: true},
	{Country: "ZZ"},
}

func recordLocation(r Record) Location {
	at, known := CountryPoint(r.Country)
	switch {
	case r.Precise && r.Point != Point{}:
		return Location{Point: r.Point, Country: r.Country, Source: SourceDatabase}
	case known:
		return Location{Point: at, Country: r.Country, Source: SourceCountry}
	}
	return Location{Source: SourceNone}
}

// blockBits is the longest prefix that a table keeps apart.
func (w *twin) blockBits(addr netip.Addr) int {
	if addr.Is4() {
		return w.bits4
	}
	return tableBits6
}

// locate is where the table has an address.
func (w *twin) locate(addr netip.Addr) Location {
	block, _ := addr.Prefix(w.blockBits(addr))
	shares := map[Location]float64{}
	last := netip.Prefix{}
	for _, n := range w.networks {
		if n.prefix.Bits() <= block.Bits() && n.prefix.Contains(addr) {
			return recordLocation(w.records[n.record])
		}
		if n.prefix.Bits() > block.Bits() && block.Overlaps(n.prefix) {
			half, _ := n.prefix.Addr().Prefix(min(64, n.prefix.Bits()))
			if half != last {
				shares[recordLocation(w.records[n.record])] += 1 / float64(uint64(1)<<(half.Bits()-block.Bits()))
			}
			last = half
		}
	}
	best := Location{Source: SourceNone}
	for _, r := range w.records { // of equal shares the place counts whose first record came first
		if l := recordLocation(r); shares[l] > shares[best] {
			best = l
		}
	}
	return best
}

// place is where an address is taken to be: by the operator's networks first.
func (w *twin) place(addr netip.Addr) Location {
	if l := longest(w.own, addr); l.Placed() {
		return l
	}
	return w.locate(addr)
}

// borders are all addresses of a family where anything may begin.
func (w *twin) borders(v4 bool) []netip.Addr {
	list := []netip.Addr{netip.IPv6Unspecified()}
	if v4 {
		list[0] = netip.IPv4Unspecified()
	}
	add := func(p netip.Prefix) {
		if p = p.Masked(); p.Addr().Is4() == v4 {
			list = append(list, p.Addr())
			if after := lastAddr(p).Next(); after.IsValid() {
				list = append(list, after)
			}
		}
	}
	for _, n := range w.networks {
		add(netip.PrefixFrom(n.prefix.Addr(), min(n.prefix.Bits(), w.blockBits(n.prefix.Addr()))))
	}
	for _, n := range w.own {
		add(n.Prefix)
	}
	return list
}

// scope tries every length from the shortest on: between borders nothing changes.
func scope[C comparable](w *twin, addr netip.Addr, class func(netip.Addr) C) netip.Prefix {
	borders, want := w.borders(addr.Is4()), class(addr)
	for length := 0; ; length++ {
		p, _ := addr.Prefix(length)
		if class(p.Addr()) == want && !slices.ContainsFunc(borders, func(b netip.Addr) bool {
			return p.Contains(b) && class(b) != want
		}) {
			return p
		}
	}
}

// drawClose draws an address whose bytes are alike but for two, so that addresses meet at every length.
func drawClose(t *rapid.T, v4 bool) netip.Addr {
	length := 16
	if v4 {
		length = 4
	}
	b := slices.Repeat([]byte{rapid.SampledFrom([]byte{0, 0x20, 0xff}).Draw(t, "fill")}, length)
	for range 2 {
		b[rapid.IntRange(0, length-1).Draw(t, "byte")] ^= byte(1<<rapid.UintRange(0, 8).Draw(t, "bit") - 1)
	}
	addr, _ := netip.AddrFromSlice(b)
	if addr.Is4In6() {
		return netip.IPv6Unspecified() // mapped addresses are IPv4's
	}
	return addr
}

func drawPrefix(t *rapid.T, v4 bool) netip.Prefix {
	addr := drawClose(t, v4)
	bits := rapid.SampledFrom([]int{0, 1, 15, 16, 17, 23, 24, 25, 30, 32, 47, 48, 49, 63, 64, 65, 66, 96, 127,
		128}).Draw(t, "bits")
	p, _ := addr.Prefix(min(bits, addr.BitLen()))
	return p
}

// drawTable draws networks that do not overlap.
func drawTable(t *rapid.T) *twin {
	w := &twin{bits4: rapid.SampledFrom([]int{32, 24, 20}).Draw(t, "bits4")}
	w.records = rapid.Permutation(twinRecords).Draw(t, "records")
	for range rapid.IntRange(0, 14).Draw(t, "networks") {
		p := drawPrefix(t, rapid.Bool().Draw(t, "v4"))
		if !slices.ContainsFunc(w.networks, func(n twinNetwork) bool { return n.prefix.Overlaps(p) }) {
			w.networks = append(w.networks, twinNetwork{p, rapid.IntRange(0, len(w.records)-1).Draw(t, "record")})
		}
	}
	slices.SortFunc(w.networks, func(a, b twinNetwork) int { return a.prefix.Addr().Compare(b.prefix.Addr()) })
	return w
}

// drawAsked draws an address to ask for, often one at a border.
func drawAsked(t *rapid.T, w *twin) netip.Addr {
	v4 := rapid.Bool().Draw(t, "asked v4")
	addr := drawClose(t, v4)
	if rapid.Bool().Draw(t, "at a border") {
		addr = rapid.SampledFrom(w.borders(v4)).Draw(t, "border")
		if before := addr.Prev(); before.IsValid() && rapid.Bool().Draw(t, "before") {
			addr = before
		}
		if addr.Is4In6() {
			return netip.IPv6Unspecified()
		}
	}
	return addr
}

func (w *twin) build(t interface{ Fatal(...any) }) *Table {
	b := NewBuilder(Options{Name: "twin", Bits4: w.bits4})
	for _, r := range w.records {
		b.Record(r)
	}
	for _, n := range w.networks {
		if err := b.Network(n.prefix, n.record); err != nil {
			t.Fatal(n.prefix, err)
		}
	}
	table, err := b.Table()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTableAgreesWithItsSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawTable(t)
		table := w.build(t)
		stored, err := ReadTable(table.Encode())
		if err != nil {
			t.Fatal(err)
		}
		addr := drawAsked(t, w)
		want := w.locate(addr)
		for name, table := range map[string]*Table{"built": table, "stored": stored} {
			if got := table.Locate(addr); got != want {
				t.Fatalf("%s: %v is %+v, want %+v", name, addr, got, want)
			}
		}
	})
}

func TestOverlapsAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		a, c := drawPrefix(t, v4), drawPrefix(t, v4)
		b := NewBuilder(Options{})
		record := b.Record(Record{})
		if err := b.Network(a, record); err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		var want error
		if a.Overlaps(c) || c.Addr().Less(a.Addr()) {
			want = ErrOrder
		}
		if err := b.Network(c, record); !errors.Is(err, want) {
			t.Fatalf("%v behind %v: %v, want %v", c, a, err, want)
		}
	})
}

func TestDivisionAgreesWithItsSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &twin{}
		var table *Table
		if rapid.Bool().Draw(t, "a table") {
			w = drawTable(t)
			table = w.build(t)
		}
		var networks *Networks
		if rapid.Bool().Draw(t, "networks of the operator's") {
			for range rapid.IntRange(0, 10).Draw(t, "own") {
				at := rapid.SampledFrom([]Point{amsterdam, quincy, {-23.5, -46.6}}).Draw(t, "point")
				p := drawPrefix(t, rapid.Bool().Draw(t, "own v4"))
				if len(w.networks) > 0 && rapid.Bool().Draw(t, "one of the table's") {
					p = rapid.SampledFrom(w.networks).Draw(t, "its network").prefix
				}
				w.own = append(w.own, Network{Prefix: p, Point: at, Country: "XK"})
			}
			networks = NewNetworks(w.own)
		}
		// Places may be of the same class, and then their border is none.
		classes := map[Location]uint16{}
		class := func(l Location) uint16 {
			c, known := classes[l]
			if !known {
				c = rapid.SampledFrom([]uint16{0, 1, MaxClasses - 1}).Draw(t, "class")
				classes[l] = c
			}
			return c
		}
		d := Divide(networks, table, class)

		want := func(addr netip.Addr) uint16 { return class(w.place(addr)) }
		addr := drawAsked(t, w)
		wantScope := scope(w, addr, want)
		if addr.Is6() { // mapped addresses are IPv4's
			wantScope, _ = addr.Prefix(max(wantScope.Bits(), commonBits(addr, mapped)+1))
		}
		if got, within := d.Find(addr); got != want(addr) || within != wantScope {
			t.Fatalf("%v is of class %d in %v, want %d in %v", addr, got, within, want(addr), wantScope)
		}
		uniform := true
		for _, b := range slices.Concat(w.borders(true), w.borders(false)) {
			uniform = uniform && want(b) == want(netip.IPv4Unspecified())
		}
		if d.Uniform() != uniform {
			t.Fatalf("uniform: %v, want %v", d.Uniform(), uniform)
		}
	})
}

// A twin that is wrong in the same way would agree; these rows were worked out by hand.
func TestDivision(t *testing.T) {
	for _, tt := range []struct {
		name     string
		networks []Network
		addr     string
		class    uint16
		scope    string
	}{
		{"nothing known", nil, "192.0.2.1", 0, "0.0.0.0/0"},
		{"nothing known, IPv6", nil, "2001:db8::1", 0, "2000::/3"},
		{"mapped", []Network{network("192.0.2.0/24", quincy, "")}, "::ffff:192.0.2.1", 1, "192.0.2.0/24"},
		{"as far as nothing is mapped", nil, "::1", 0, "::/81"},
		{"a zone", []Network{network("2001:db8::/33", quincy, "")}, "2001:db8::1%eth0", 1, "2001:db8::/33"},
		{"the lowest", []Network{network("::/128", quincy, "")}, "::", 1, "::/128"},
		{"behind the lowest", []Network{network("::/128", quincy, "")}, "::1", 0, "::1/128"},
		{"in the next half", []Network{network("::/128", quincy, "")}, "0:0:0:1::", 0, "0:0:0:1::/64"},
		{"the highest", []Network{network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", quincy, "")},
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
		{"before the highest", []Network{network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", quincy, "")},
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 0, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128"},
		{"in the half before", []Network{network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", quincy, "")},
			"ffff:ffff:ffff:fffe::", 0, "ffff:ffff:ffff:fffe::/64"},
		{"two in one half", []Network{network("2001:db8::1/128", quincy, ""), network("2001:db8::4/126", quincy, "")},
			"2001:db8::5", 1, "2001:db8::4/126"},
		{"between two in one half", []Network{network("2001:db8::1/128", quincy, ""),
			network("2001:db8::4/126", quincy, "")},
			"2001:db8::2", 0, "2001:db8::2/127"},
		{"two that make a whole half", []Network{network("2001:db8::/65", quincy, ""),
			network("2001:db8:0:0:8000::/65", quincy, "")}, "2001:db8::5", 1, "2001:db8::/64"},
		{"halves side by side", []Network{network("2001:db8:0:0:8000::/65", quincy, ""),
			network("2001:db8:0:1::/65", quincy, "")}, "2001:db8:0:1::5", 1, "2001:db8:0:1::/65"},
		{"one block after a divided one", []Network{network("2001:db8::1/128", quincy, ""),
			network("2001:db8:2::/48", quincy, "")}, "2001:db8:1::", 0, "2001:db8:1::/48"},
		{"a wide one up to a divided half", []Network{network("2001:db8::/32", quincy, ""),
			network("2001:db8:ffff:ffff::/65", amsterdam, "")}, "2001:db8::1", 1, "2001:db8::/33"},
	} {
		d := Divide(NewNetworks(tt.networks), nil, func(l Location) uint16 {
			if l.Point == quincy {
				return 1
			}
			return 0
		})
		if class, scope := d.Find(netip.MustParseAddr(tt.addr)); class != tt.class ||
			scope != netip.MustParsePrefix(tt.scope) {
			t.Errorf("%s: class %d in %v, want %d in %v", tt.name, class, scope, tt.class, tt.scope)
		}
	}
	d := Divide(nil, nil, func(Location) uint16 { return 7 })
	if class, scope := d.Find(netip.Addr{}); class != 0 || scope.IsValid() {
		t.Errorf("no address: class %d in %v", class, scope)
	}
	if !d.Uniform() {
		t.Error("all addresses are of one class, but it is not uniform")
	}
}

// TestDivisionOfBoth: the operator's networks begin and end where the table's do, and within them.
func TestDivisionOfBoth(t *testing.T) {
	table, err := builderOf(t, Options{}, []entry{{at(52.4, 4.9, "NL"), "2001:db8::/32"},
		{at(-23.5, -46.6, "BR"), "2001:db9::/32"}}).Table()
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]uint16{"": 0, "NL": 1, "BR": 2, "US": 3}
	for _, tt := range []struct {
		own, addr string
		class     uint16
		scope     string
	}{
		{"2001:db8::/32", "2001:db8::", 3, "2001:db8::/32"},
		{"2001:db8::/32", "2001:db9::", 2, "2001:db9::/32"},
		{"2001:db7::/32", "2001:db7::", 3, "2001:db7::/32"},
		{"2001:db7::/32", "2001:db8::", 1, "2001:db8::/32"},
		{"2001:db9::/48", "2001:db9::", 3, "2001:db9::/48"},
		{"2001:db9::/48", "2001:db9:1::", 2, "2001:db9:1::/48"},
		{"2001:db8:ffff::/48", "2001:db8:ffff::", 3, "2001:db8:ffff::/48"},
		{"2001:db8:ffff::/48", "2001:db9::", 2, "2001:db9::/32"},
		{"2001:db8:ffff:8000::/49", "2001:db8:ffff::", 1, "2001:db8:ffff::/49"},
		{"2001:db8:ffff:8000::/49", "2001:db8:ffff:8000::", 3, "2001:db8:ffff:8000::/49"},
		{"2001:db9::/49", "2001:db9::", 3, "2001:db9::/49"},
		{"2001:db9::/49", "2001:db9:0:8000::", 2, "2001:db9:0:8000::/49"},
	} {
		d := Divide(NewNetworks([]Network{network(tt.own, quincy, "US")}), table, func(l Location) uint16 {
			return classes[l.Country]
		})
		if class, scope := d.Find(netip.MustParseAddr(tt.addr)); class != tt.class ||
			scope != netip.MustParsePrefix(tt.scope) {
			t.Errorf("with %s, %s is of class %d in %v, want %d in %s", tt.own, tt.addr, class, scope, tt.class,
				tt.scope)
		}
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	table, err := builderOf(t, Options{}, []entry{{at(52.4, 4.9, "NL"), "192.0.2.0/24 2001:db8::/32"}}).Table()
	if err != nil {
		t.Fatal(err)
	}
	networks := NewNetworks([]Network{network("2001:db8::1/128", quincy, "US"),
		network("198.51.100.0/24", quincy, "US")})
	d := Divide(networks, table, func(l Location) uint16 { return uint16(len(l.Country)) + uint16(l.Point.Lat) })
	for _, s := range []string{"192.0.2.1", "198.51.100.1", "::ffff:203.0.113.1", "2001:db8::1", "2001:db8::2",
		"2001:db8:ffff::", "2001:db9::"} {
		addr := netip.MustParseAddr(s)
		for name, look := range map[string]func(){
			"Table.Locate":    func() { table.Locate(addr) },
			"Networks.Locate": func() { networks.Locate(addr) },
			"Division.Find":   func() { d.Find(addr) },
		} {
			if n := testing.AllocsPerRun(100, look); n != 0 {
				t.Errorf("%s of %s: %v allocations", name, s, n)
			}
		}
	}
}
