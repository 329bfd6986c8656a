package mmdb

import (
	"slices"

	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/fairlead-gateway/fairlead/geo"
)

// schema reads a record. Of its fields only those that count are decoded: half of the time to load a database goes into
// that.
type schema func(maxminddb.Result) (geo.Record, error)

// schemaOf finds the schema by a record's fields, and not by the database's name, which is its maker's choice. It is
// nil where the record has none of them.
func schemaOf(r maxminddb.Result) (schema, error) {
	var fields map[string]any
	if err := r.Decode(&fields); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		read schema
		keys []string
	}{
		{flat, []string{"country_code", "latitude"}},
		{nested, []string{"location", "country", "registered_country", "continent"}},
	} {
		for _, key := range s.keys {
			if _, ok := fields[key]; ok {
				return s.read, nil
			}
		}
	}
	return nil, nil
}

// flat is the schema of the builds by ip-location-db.
func flat(n maxminddb.Result) (geo.Record, error) {
	var r struct {
		City      string   `maxminddb:"city"`
		Country   string   `maxminddb:"country_code"`
		State     string   `maxminddb:"state1"`
		Postcode  string   `maxminddb:"postcode"`
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	}
	if err := n.Decode(&r); err != nil {
		return geo.Record{}, err
	}
	out := geo.Record{Country: code(r.Country)}
	if r.Latitude != nil && r.Longitude != nil {
		out.Point = geo.Point{Lat: *r.Latitude, Lon: *r.Longitude}
		out.Precise = r.City+r.State+r.Postcode != ""
	}
	return out, nil
}

// where is what we read of MaxMind's City, Country and Enterprise. geoip2.City has all names in eight languages as
// well, and takes half as long again.
type where struct {
	Country    country         `maxminddb:"country"`
	Registered country         `maxminddb:"registered_country"`
	Location   geoip2.Location `maxminddb:"location"`
}

// names is what tells a place from a country: looked at only where there is doubt.
type names struct {
	City struct {
		GeoNameID uint64 `maxminddb:"geoname_id"`
		Names     struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	Subdivisions []struct{}        `maxminddb:"subdivisions"`
	Postal       geoip2.CityPostal `maxminddb:"postal"`
}

type country struct {
	Code string `maxminddb:"iso_code"`
}

// nested is the schema of MaxMind's City, Country and Enterprise.
func nested(n maxminddb.Result) (geo.Record, error) {
	var w where
	if err := n.Decode(&w); err != nil {
		return geo.Record{}, err
	}
	// Where the address is used, else where it is registered: of some networks that is all MaxMind knows.
	r := geo.Record{Country: code(w.Country.Code)}
	if r.Country == "" {
		r.Country = code(w.Registered.Code)
	}
	if !w.Location.HasCoordinates() {
		return r, nil
	}
	r.Point, r.Precise = geo.Point{Lat: *w.Location.Latitude, Lon: *w.Location.Longitude}, true
	if w.Location.AccuracyRadius < vagueRadius && !slices.Contains(middleUS, r.Point) {
		return r, nil
	}
	var known names
	if err := n.Decode(&known); err != nil {
		return geo.Record{}, err
	}
	r.Precise = known.City.GeoNameID != 0 || known.City.Names.English != "" || len(known.Subdivisions) > 0 ||
		known.Postal.HasData()
	return r, nil
}

// vagueRadius in km is where a point that comes with neither city, subdivision nor postal code stops being one. MaxMind
// puts 100 to 1000 on the points that stand for a country; smaller ones are in countries so small that the country's
// point and the client's are the same for us. A record without a radius was not made by MaxMind but by someone who
// meant the point that they put there.
const vagueRadius = 100

// middleUS are the points MaxMind has given to "somewhere in the USA", now and before 2016: the one in the middle of a
// reservoir, the other a farm's.
var middleUS = []geo.Point{{Lat: 37.751, Lon: -97.822}, {Lat: 38, Lon: -97}}

// code is a country's if it can be one: it goes into logs, metrics and answers, and a damaged file may hold anything
// there.
func code(s string) string {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return ""
		}
	}
	if len(s) != 2 {
		return ""
	}
	return s
}
