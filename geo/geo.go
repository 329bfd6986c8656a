// Package geo says where an address is and how long the way to a place takes.
//
// It is pure: it reads no file, no clock and no network, so every gateway that
// holds the same networks and the same database gives the same answers.
package geo

import "math"

// earthRadius is the mean radius of the Earth in km (IUGG R1).
const earthRadius = 6371.0088

// Point is a position on the Earth in degrees: Lat from -90 to 90, north
// positive; Lon from -180 to 180, east positive.
type Point struct{ Lat, Lon float64 }

// Valid reports whether both coordinates are numbers within their ranges.
func (p Point) Valid() bool {
	// A comparison with NaN is false, so NaN fails here too.
	return math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180
}

// Distance is the great-circle distance from a to b in km, from 0 to 20,015.
func Distance(a, b Point) float64 {
	const radian = math.Pi / 180
	sinLat := math.Sin((b.Lat - a.Lat) * radian / 2)
	sinLon := math.Sin((b.Lon - a.Lon) * radian / 2)
	h := sinLat*sinLat + math.Cos(a.Lat*radian)*math.Cos(b.Lat*radian)*sinLon*sinLon
	// Rounding may put antipodes above 1, where Asin is NaN.
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}
