package geo

import (
	"math"
	"net/netip"
	"slices"
)

// Division gives every address a class: what is the same for all that the caller counts as alike. It never changes.
type Division struct {
	// Static after Divide.
	v4 *runs[uint16]
	v6 *runs[uint32]       // by as many bits as a table has
	in map[uint64][]subrun // by the same, where those behind them decide
}

// subrun is a run among addresses that share those bits.
type subrun struct {
	first netip.Addr
	class uint16
}

// divided stands for a class where the bits decide that a table does not look at.
const divided = math.MaxUint16

// MaxClasses is how many classes there may be, from 0 on.
const MaxClasses = divided

// Divide gives each address the class of its location: by the networks, else by the table, of which either may be nil.
// It asks for the class of each of the table's locations once, that of nobody's place first; the work is linear in the
// table.
func Divide(n *Networks, t *Table, class func(Location) uint16) *Division {
	if t == nil {
		t = nowhere
	}
	classes := make([]uint16, len(t.locations))
	for i, l := range t.locations {
		classes[i] = class(l)
	}
	d := &Division{v4: newRuns[uint16](32), v6: newRuns[uint32](tableBits6), in: map[uint64][]subrun{}}
	d.divide4(n, t, class, classes)
	d.divide6(n, t, class, classes)
	return d
}

func (d *Division) divide4(n *Networks, t *Table, class func(Location) uint16, classes []uint16) {
	n.each(netip.IPv4Unspecified(), func(first netip.Addr, location Location, next netip.Addr) {
		start := key4(first)
		if location.Placed() {
			d.v4.append(start, class(location))
			return
		}
		t.v4.from(start, func(start uint64, value uint16) bool {
			if next.IsValid() && start >= key4(next) {
				return false
			}
			d.v4.append(start, classes[value])
			return true
		})
	})
	d.v4.end()
}

func (d *Division) divide6(n *Networks, t *Table, class func(Location) uint16, classes []uint16) {
	w := writer6{Division: d}
	n.each(netip.IPv6Unspecified(), func(first netip.Addr, location Location, next netip.Addr) {
		if location.Placed() {
			w.begin(first, class(location))
			return
		}
		end := uint64(math.MaxUint64)
		if next.IsValid() {
			end = key6(next)
		}
		at := uint16(divided)
		t.v6.from(key6(first), func(key uint64, value uint16) bool {
			if key >= end && !addr6(key).Less(next) {
				return false
			}
			if class := classes[value]; class != at { // else two addresses were made for nothing, most of the time
				at = class
				start := addr6(key)
				if start.Less(first) {
					start = first
				}
				w.begin(start, class)
			}
			return true
		})
	})
	w.flush()
	if w.next > 0 && w.next>>tableBits6 == 0 {
		w.v6.append(w.next, w.last)
	}
	d.v6.end().refine()
}

// writer6 gathers what begins within one key before it writes it.
type writer6 struct {
	*Division
	at   uint64 // the key
	here []subrun
	last uint16 // class at the end of what was written
	next uint64 // the key behind a divided one that was written last, else 0
}

func (w *writer6) begin(first netip.Addr, class uint16) {
	if at := key6(first); at != w.at {
		w.flush()
		w.at = at
	}
	w.here = append(w.here, subrun{first, class})
}

func (w *writer6) flush() {
	if len(w.here) == 0 {
		return
	}
	if w.next > 0 && w.at > w.next {
		w.v6.append(w.next, w.last)
	}
	if lowest := addr6(w.at); lowest.Less(w.here[0].first) {
		w.here = slices.Insert(w.here, 0, subrun{lowest, w.last})
	}
	w.here = slices.CompactFunc(w.here, func(a, b subrun) bool { return a.class == b.class })
	w.last, w.next = w.here[len(w.here)-1].class, 0
	if len(w.here) == 1 {
		w.v6.append(w.at, w.last)
	} else {
		w.v6.append(w.at, divided)
		w.in[w.at], w.next = slices.Clone(w.here), w.at+1
	}
	w.here = w.here[:0]
}

// Find is the class of an address, and the widest prefix around it that has no other. An invalid address has none.
func (d *Division) Find(addr netip.Addr) (class uint16, scope netip.Prefix) {
	addr = plainAddr(addr)
	switch {
	case !addr.IsValid():
		return 0, netip.Prefix{}
	case addr.Is4():
		key := key4(addr)
		i := d.v4.find(key)
		return d.v4.value[i], netip.PrefixFrom(addr, d.v4.within(i, key)).Masked()
	}
	key := key6(addr)
	i := d.v6.find(key)
	class = d.v6.value[i]
	var length int
	if class == divided {
		class, length = findIn(d.in[key], addr)
	} else {
		length = d.v6.within(i, key)
	}
	// What is mapped has the class of its IPv4 address.
	return class, netip.PrefixFrom(addr, max(length, commonBits(addr, mapped)+1)).Masked()
}

// mapped is the first of the IPv4-mapped addresses (RFC 4291, section 2.5.5.2).
var mapped = netip.MustParseAddr("::ffff:0:0")

func findIn(list []subrun, addr netip.Addr) (class uint16, length int) {
	i, found := slices.BinarySearchFunc(list, addr, func(s subrun, a netip.Addr) int { return s.first.Compare(a) })
	if !found {
		i--
	}
	if i > 0 {
		length = commonBits(addr, list[i].first.Prev()) + 1
	}
	if i+1 < len(list) {
		length = max(length, commonBits(addr, list[i+1].first)+1)
	}
	return list[i].class, length
}

// Uniform reports whether all addresses of both families are of one class.
func (d *Division) Uniform() bool {
	return len(d.v4.value) == 1 && len(d.v6.value) == 1 && d.v4.value[0] == d.v6.value[0]
}
