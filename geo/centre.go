package geo

import "math"

// centre is the middle of addresses, in whole numbers: all processors find the same.
type centre struct {
	lat, lon, weight int64 // lat and lon in hundredths of a degree by weight; lon from west
	west             int64
}

func add[K comparable](all map[K]*centre, key K, p Point, weight int64) {
	lat, lon := int64(math.Round(p.Lat*100)), int64(math.Round(p.Lon*100))
	c := all[key]
	if c == nil {
		c = &centre{west: lon}
		all[key] = c
	}
	east := (lon-c.west+54000)%36000 - 18000 // the shorter way around
	c.lat, c.lon, c.weight = c.lat+lat*weight, c.lon+east*weight, c.weight+weight
}

func (c *centre) point() Point {
	lon := (c.west+c.lon/c.weight+54000)%36000 - 18000
	return Point{Lat: float64(c.lat/c.weight) / 100, Lon: float64(lon) / 100}
}

// hold is a point that rounding may have taken across the cell's border, of which one is the date line.
func (c cell) hold(p Point) Point {
	if p.Lon < float64(c.lon)-180 {
		p.Lon += 360
	}
	inside := func(x float64, corner int) float64 { return min(max(x, float64(corner)), float64(corner*100+99)/100) }
	return Point{Lat: inside(p.Lat, c.lat), Lon: inside(p.Lon, c.lon)}
}
