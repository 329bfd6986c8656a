package geo

import _ "embed"

// landBits has a bit for each cell in which there is land, from -90,-180 eastwards and then northwards.
//
//go:embed data/land.bin
var landBits string

// onLand reports whether there is land in the cell of a point: no client is at sea, and who is said to be has been put
// into the middle of something.
func onLand(p Point) bool {
	lat, lon := CellOf(p)
	i := (lat+90)*360 + lon + 180
	return landBits[i/8]>>(i%8)&1 != 0
}

// CellOf is the south-western corner of the cell of a valid point. What lies on the northern or eastern border of the
// map counts to the last cell there.
func CellOf(p Point) (lat, lon int) {
	return min(int(p.Lat+90), 179) - 90, min(int(p.Lon+180), 359) - 180
}
