package geo

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// Network is a prefix whose place the operator knows better than any database.
type Network struct {
	Prefix  netip.Prefix
	Point   Point
	Country string // ISO 3166-1 alpha-2, or empty
}

// Networks finds the longest of a set of prefixes that an address is in. It
// never changes; nil holds no network.
type Networks struct {
	// Static after NewNetworks.
	v4, v6 []stretch
}

// stretch is a run of addresses with one location: from first to the address
// before the next stretch. The stretches of a family cover all of it.
type stretch struct {
	first    netip.Addr
	location Location
}

// NewNetworks makes a table of networks. Prefixes may nest; of two equal ones
// the later counts. A network without a valid prefix or point is left out: the
// configuration refuses it, with the line it stands on.
func NewNetworks(networks []Network) *Networks {
	var v4, v6 []Network
	for _, n := range networks {
		if n.Prefix = plainPrefix(n.Prefix); !n.Prefix.IsValid() || !n.Point.Valid() {
			continue
		}
		if n.Prefix.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return &Networks{v4: flatten(netip.IPv4Unspecified(), v4), v6: flatten(netip.IPv6Unspecified(), v6)}
}

// Locate gives the location of the longest network that holds addr.
func (n *Networks) Locate(addr netip.Addr) Location {
	addr = plainAddr(addr)
	stretches := n.family(addr)
	if !addr.IsValid() || len(stretches) == 0 {
		return Location{Source: SourceNone}
	}
	i, found := slices.BinarySearchFunc(stretches, addr, func(s stretch, a netip.Addr) int {
		return s.first.Compare(a)
	})
	if !found {
		i--
	}
	return stretches[i].location
}

// family is empty where there is no table.
func (n *Networks) family(addr netip.Addr) []stretch {
	switch {
	case n == nil:
		return nil
	case addr.Is4():
		return n.v4
	}
	return n.v6
}

// each visits the stretches of the lowest address's family, each with the first address behind it, which the last one
// has not.
func (n *Networks) each(lowest netip.Addr, visit func(first netip.Addr, location Location, next netip.Addr)) {
	stretches := n.family(lowest)
	if len(stretches) == 0 {
		visit(lowest, Location{Source: SourceNone}, netip.Addr{})
	}
	for i, s := range stretches {
		next := netip.Addr{}
		if i+1 < len(stretches) {
			next = stretches[i+1].first
		}
		visit(s.first, s.location, next)
	}
}

// flatten turns nested prefixes of one family into stretches side by side, so
// that a search finds at once who holds an address.
func flatten(lowest netip.Addr, networks []Network) []stretch {
	slices.SortStableFunc(networks, func(a, b Network) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	stretches := []stretch{{lowest, Location{Source: SourceNone}}}
	begin := func(first netip.Addr, location Location) {
		if stretches[len(stretches)-1].first == first {
			stretches = stretches[:len(stretches)-1]
		}
		if k := len(stretches); k == 0 || stretches[k-1].location != location {
			stretches = append(stretches, stretch{first, location})
		}
	}

	var open []Network // each within the one before it
	closeInnermost := func() {
		after := lastAddr(open[len(open)-1].Prefix).Next()
		open = open[:len(open)-1]
		if after.IsValid() {
			begin(after, innermost(open))
		}
	}
	for _, n := range networks {
		for len(open) > 0 && !open[len(open)-1].Prefix.Contains(n.Prefix.Addr()) {
			closeInnermost()
		}
		open = append(open, n)
		begin(n.Prefix.Addr(), innermost(open))
	}
	for len(open) > 0 {
		closeInnermost()
	}
	return stretches
}

func innermost(open []Network) Location {
	if len(open) == 0 {
		return Location{Source: SourceNone}
	}
	n := open[len(open)-1]
	return Location{Point: n.Point, Country: n.Country, Source: SourceNetworks}
}

// commonBits counts the leading bits that two addresses of one family share.
func commonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16() // IPv4 at the end
	n := bits.LeadingZeros64(binary.BigEndian.Uint64(x[:8]) ^ binary.BigEndian.Uint64(y[:8]))
	if n == 64 {
		n += bits.LeadingZeros64(binary.BigEndian.Uint64(x[8:]) ^ binary.BigEndian.Uint64(y[8:]))
	}
	return n - (128 - a.BitLen())
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		host := 8*(i+1) - p.Bits() // bits of this byte and those before it beyond the prefix
		b[i] |= byte(1<<min(max(host, 0), 8) - 1)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// plainAddr takes an IPv4 address out of its IPv6 mapping and leaves out the
// zone: both say how a packet came, not from where.
func plainAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// plainPrefix does the same to a prefix, and clears the bits beyond its length.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}
