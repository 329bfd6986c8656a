package mmdb

import (
	"net/netip"

	"github.com/oschwald/geoip2-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

// record is what both kinds of database say of a network.
type record struct {
	country string       // ISO 3166-1 alpha-2, or empty
	point   geo.Point    // of the country at large unless precise
	precise bool         // finer than the country
	network netip.Prefix // as the reader reports it
}

// Locate says where the database takes addr to be. Its Scope is the database's
// network around addr, an empty one too. A record that cannot be read counts as
// none, for this address alone.
func (db *Database) Locate(addr netip.Addr) geo.Location {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return geo.Location{Source: geo.SourceNone}
	}
	if addr.Is6() && db.reader.Metadata().IPVersion == 4 {
		return geo.Location{Source: geo.SourceNone, Scope: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	r, err := db.lookup(db.reader, addr)
	if err != nil {
		return geo.Location{Source: geo.SourceNone, Scope: netip.PrefixFrom(addr, addr.BitLen())}
	}
	location := r.location()
	location.Scope = familyPrefix(addr, r.network)
	return location
}

// location falls back from the record's point to the country's, so that two
// gateways with databases of different detail differ as little as can be.
func (r record) location() geo.Location {
	if r.precise {
		return geo.Location{Point: r.point, Country: r.country, Source: geo.SourceDatabase}
	}
	if p, ok := geo.CountryPoint(r.country); ok {
		return geo.Location{Point: p, Country: r.country, Source: geo.SourceCountry}
	}
	return geo.Location{Country: r.country, Source: geo.SourceNone}
}

// familyPrefix gives a network in addr's family. In a database without a tree
// for IPv4, the reader's network is an IPv6 one that holds all of IPv4.
func familyPrefix(addr netip.Addr, network netip.Prefix) netip.Prefix {
	if addr.Is4() && !network.Addr().Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return network
}

func countryRecord(reader *geoip2.Reader, addr netip.Addr) (record, error) {
	c, err := reader.Country(addr)
	if err != nil {
		return record{}, err
	}
	return record{country: country(c.Country, c.RegisteredCountry), network: c.Traits.Network}, nil
}

func cityRecord(reader *geoip2.Reader, addr netip.Addr) (record, error) {
	c, err := reader.City(addr)
	if err != nil {
		return record{}, err
	}
	r := record{country: country(c.Country, c.RegisteredCountry), network: c.Traits.Network}
	if c.Location.HasCoordinates() {
		r.point = geo.Point{Lat: *c.Location.Latitude, Lon: *c.Location.Longitude}
		r.precise = r.point.Valid() && !standIn(c, r.point)
	}
	return r, nil
}

// country is where the address is used, else where it is registered: of some
// networks that is all MaxMind knows.
func country(used, registered geoip2.CountryRecord) string {
	if used.ISOCode != "" {
		return used.ISOCode
	}
	return registered.ISOCode
}

// vagueRadius in km is where a point that comes with neither city, subdivision
// nor postal code stops being one. MaxMind puts 100 to 1000 on the points that
// stand for a country; smaller ones are in countries so small that the
// country's point and the client's are the same for us.
const vagueRadius = 100

// middleUS are the points MaxMind has given to "somewhere in the USA", now and
// before 2016: the one in the middle of a reservoir, the other a farm's.
var middleUS = []geo.Point{{Lat: 37.751, Lon: -97.822}, {Lat: 38, Lon: -97}}

// standIn reports whether a record's point stands for no more than its country.
//
// A record that names a city, subdivision or postal code knows more than the
// country. Without those, the accuracy radius decides. A record without a
// radius was not made by MaxMind but by someone who meant the point that they
// put there.
func standIn(c *geoip2.City, p geo.Point) bool {
	if p == (geo.Point{}) {
		return true
	}
	if c.City.HasData() || len(c.Subdivisions) > 0 || c.Postal.HasData() {
		return false
	}
	for _, m := range middleUS {
		if p == m {
			return true
		}
	}
	return c.Location.AccuracyRadius >= vagueRadius
}
