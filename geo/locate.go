package geo

import "net/netip"

// Source is what a location is known from.
type Source string

// The sources, a closed set.
const (
	SourceNetworks Source = "networks" // the operator's own networks
	SourceDatabase Source = "database" // a geo database that knows the point
	SourceCountry  Source = "country"  // a geo database that knows the country only
	SourceNone     Source = "none"     // nobody knows
)

// Location is where an address is taken to be.
type Location struct {
	Point   Point  // meaningless unless Placed
	Country string // ISO 3166-1 alpha-2, or empty
	Source  Source
	// Scope holds the address asked for, and every address in it has the same
	// location: what RFC 7871 section 7.2.1 wants a SCOPE PREFIX-LENGTH to say.
	// It is not valid where the address was not.
	Scope netip.Prefix
}

// Placed reports whether anything is known of where the address is.
func (l Location) Placed() bool { return l.Source != SourceNone && l.Source != "" }

// Locator asks the operator's networks first, then the database.
type Locator struct {
	// Static after construction.
	Networks *Networks                 // may be nil
	Database func(netip.Addr) Location // may be nil
}

// Locate says where addr is taken to be, IPv4-mapped or not.
func (l Locator) Locate(addr netip.Addr) Location {
	addr = plainAddr(addr)
	location := l.Networks.Locate(addr)
	if location.Placed() || l.Database == nil || !addr.IsValid() {
		return location
	}
	// Beyond the block that no network divides the networks decide, and beyond
	// the database's record another record does: the answer holds within both.
	free := location.Scope
	location = l.Database(addr)
	location.Scope = narrower(addr, free, location.Scope)
	return location
}

// narrower is the smaller of two blocks around addr. A block that does not hold
// addr says nothing about it, so then only addr itself is sure.
func narrower(addr netip.Addr, a, b netip.Prefix) netip.Prefix {
	switch {
	case !a.Contains(addr) || !b.Contains(addr):
		return netip.PrefixFrom(addr, addr.BitLen())
	case a.Bits() > b.Bits():
		return a
	}
	return b.Masked()
}
