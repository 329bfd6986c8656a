package geo

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Record is what a database says of some networks.
type Record struct {
	Point   Point
	Country string // ISO 3166-1 alpha-2, or empty
	Precise bool   // the point is that of a place, and not of the country
}

// Options are how a table is built.
type Options struct {
	Name  string
	Built time.Time
	// Bits4 is the longest prefix of IPv4 that is kept apart, 0 for 32. In a block of that length the place with the
	// most addresses counts.
	Bits4 int
}

// Builder makes a table of what a database says. It keeps what the table will have and the records, but not the
// networks: of those a database may have ten million.
type Builder struct {
	options Options
	records []record
	cells   []cell          // by value; the first is that of addresses that nobody knows
	values  map[cell]uint16 // of cells
	v4      *family[uint16]
	v6      *family[uint32]
	last4   netip.Addr // of the networks added, and not valid before there is one
	last6   netip.Addr
	report  Report
	full    bool // there were more cells than there are values
}

// record is a Record in the cell that has the value.
type record struct {
	point  Point
	value  uint16
	weight int64 // IPv4 addresses; 1 if it has IPv6 networks only, 0 without any
}

// cell is what is one place in a table.
type cell struct {
	country  string
	lat, lon int // of its corner; where it is a whole country, neither
	precise  bool
}

// ErrOrder is for a network that is not behind those before it, or overlaps one.
var ErrOrder = errors.New("not behind the networks before it")

// maxLocations is how many places a table can tell apart.
const maxLocations = MaxClasses - 1

// ErrPlaces is for a database with more places than a table can tell apart: more than the Earth has cells with people.
var ErrPlaces = errors.New("more than " + strconv.Itoa(maxLocations) + " places")

// NewBuilder makes an empty one.
func NewBuilder(o Options) *Builder {
	if o.Bits4 == 0 {
		o.Bits4 = 32
	}
	return &Builder{
		options: o,
		cells:   []cell{{}}, values: map[cell]uint16{{}: 0},
		v4: newFamily[uint16](32, 32, o.Bits4), v6: newFamily[uint32](64, tableBits6, tableBits6),
	}
}

// Record adds one and returns its number.
func (b *Builder) Record(r Record) int {
	c := cell{country: r.Country}
	if b.precise(r) {
		c.precise = true
		c.lat, c.lon = CellOf(r.Point)
	} else if _, known := CountryPoint(r.Country); !known {
		c = cell{}
	}
	value, known := b.values[c]
	switch {
	case known:
	case len(b.cells) > maxLocations:
		b.full = true
	default:
		value = uint16(len(b.cells))
		b.cells, b.values[c] = append(b.cells, c), value
	}
	b.records = appendInterruptibly(b.records, record{point: r.Point, value: value})
	return len(b.records) - 1
}

// Network says that a record is about a prefix, which has to lie behind all those of its family that were added before.
// The error is ErrOrder. Of IPv6 networks that share their first 64 bits the first one counts.
func (b *Builder) Network(p netip.Prefix, number int) error {
	p = plainPrefix(p)
	last := &b.last6
	if p.Addr().Is4() {
		last = &b.last4
	}
	if !p.IsValid() || last.IsValid() && !last.Less(p.Addr()) {
		return ErrOrder
	}
	half := *last
	*last = lastAddr(p)
	r := &b.records[number]
	b.report.Networks++
	var long bool
	switch {
	case p.Addr().Is4():
		long = b.v4.add(key4(p.Addr()), p.Bits(), r.value)
		r.weight += 1 << (32 - p.Bits())
	case half.IsValid() && half6(half) == half6(p.Addr()):
		long = true
		r.weight = max(r.weight, 1)
	default:
		long = b.v6.add(half6(p.Addr()), min(p.Bits(), 64), r.value)
		r.weight = max(r.weight, 1)
	}
	if long {
		b.report.Long++
	}
	return nil
}

// Table is made once, when all is added. The error is ErrPlaces.
func (b *Builder) Table() (*Table, error) {
	if b.full {
		return nil, ErrPlaces
	}
	b.report.Records = len(b.records)
	t := &Table{Name: b.options.Name, Built: b.options.Built, v4: b.v4.end(), v6: b.v6.end()}
	locations := b.locations()
	for _, r := range b.records {
		if r.weight > 0 && r.value == 0 {
			b.report.Nowhere++
		}
	}
	t.locations = byUse(locations, t.v4.value, t.v6.value)
	return t, nil
}

// Report is what Table left out.
func (b *Builder) Report() Report { return b.report }

// locations are those of all values: of a place its centre, of a country that of its places, or else the country's own
// point.
func (b *Builder) locations() []Location {
	centres, countries := map[cell]*centre{}, map[string]*centre{}
	for _, r := range b.records {
		if c := b.cells[r.value]; c.precise && r.weight > 0 {
			add(centres, c, r.point, r.weight)
			add(countries, c.country, r.point, r.weight)
		}
	}
	locations := make([]Location, len(b.cells))
	locations[0].Source = SourceNone
	for i, c := range b.cells[1:] {
		l := Location{Country: c.country, Source: SourceCountry}
		switch {
		case centres[c] != nil:
			l.Source, l.Point = SourceDatabase, c.hold(centres[c].point())
		case countries[c.country] != nil:
			l.Point = countries[c.country].point()
		default:
			l.Point, _ = CountryPoint(c.country)
		}
		locations[i+1] = l
	}
	return locations
}

// byUse gives the values that most runs have the lowest numbers, in place, and leaves out the locations of those that
// none has: stored, the table of the whole Internet is smaller by 4% for it. The first stays.
func byUse(locations []Location, lists ...[]uint16) []Location {
	uses := make([]int, len(locations))
	for _, list := range lists {
		for _, v := range list {
			uses[v]++
		}
	}
	order := make([]uint16, 0, len(locations))
	for v := 1; v < len(uses); v++ {
		if uses[v] > 0 {
			order = append(order, uint16(v))
		}
	}
	slices.SortStableFunc(order, func(a, b uint16) int { return cmp.Compare(uses[b], uses[a]) })
	used, renamed := locations[:1:1], make([]uint16, len(locations))
	for _, v := range order {
		renamed[v] = uint16(len(used))
		used = append(used, locations[v])
	}
	for _, list := range lists {
		for i, v := range list {
			list[i] = renamed[v]
		}
	}
	return used
}

// precise reports whether a record's point is worth more than its country.
func (b *Builder) precise(r Record) bool {
	switch {
	case !r.Precise:
		b.report.Vague++
	case !r.Point.Valid():
		b.report.NoPoint++
	case r.Point == Point{}:
		b.report.Zero++
	case !onLand(r.Point):
		b.report.Sea++
	default:
		return true
	}
	return false
}
