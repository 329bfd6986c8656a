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
	return l.Database(addr)
}
