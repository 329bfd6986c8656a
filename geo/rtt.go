package geo

import "math"

// ExpectedRTT is the round-trip time in milliseconds to be expected between a
// client at p and a replica at q: at least 0, never NaN, and farthest for a
// point that is not Valid.
//
// Great-circle distance alone sends clients the wrong way: cables do not follow
// it. So a small table of measured times between cloud regions corrects it:
//
//	L(km)    = 6.55 + 0.0154·km
//	R[i,j]   = ln((T[i,j]+4) / (L(d[i,j])+4)),  R[i,i] = ln(5/10.55)
//	w(p)     = the 3 nearest regions of p, weights 1/(km+100)², summing to 1
//	RTT(p,q) = (L(d(p,q))+4)·exp(w(p)ᵀ·R·w(q)) − 4
//
// where T is the measured table. See data/README.md for its source.
func ExpectedRTT(p, q Point) float64 { return SpotOf(p).ExpectedRTT(SpotOf(q)) }

// Spot is a point with what the model knows of it. It saves most of the work where one point is compared with many.
type Spot struct {
	point Point
	near  [nearby]share
}

// SpotOf is the spot of any point, valid or not.
func SpotOf(p Point) Spot {
	if !p.Valid() {
		return Spot{point: p}
	}
	return Spot{p, measured.nearest(p)}
}

// ExpectedRTT is that between the points of two spots.
func (s Spot) ExpectedRTT(to Spot) float64 {
	if !s.point.Valid() || !to.point.Valid() {
		return farthestRTT
	}
	// Processors may differ in the last bits of exp and of fused sums. Whole
	// microseconds keep those bits from deciding which of two replicas is nearer.
	return math.Round(measured.between(s, to)*1000) / 1000
}

const (
	// farthestRTT is more than any two points on Earth are apart.
	farthestRTT = 1000.0
	// floorRTT keeps the logarithm of a ratio sane where times are near 0.
	floorRTT = 4.0
	// nearby is how many anchors speak for a point.
	nearby = 3
)

// RTTDate is the day of the published round-trip times inside, data/rtt.csv.
const RTTDate = "2026-07-30"

// lineRTT is the round-trip time in ms that a straight line through all
// measured pairs gives for a distance in km.
func lineRTT(km float64) float64 { return 6.55 + 0.0154*km }

// model corrects the straight line by what was measured between anchors.
type model struct {
	anchors []anchor
	bend    [][]float64 // R above: bend[i][j] from anchor i to anchor j
}

type anchor struct {
	point Point
	unit  vector
}

// newModel makes a model of anchors and the times in ms between them, rtt[i][j]
// from anchor i to anchor j. A time that is NaN was not published: the opposite
// direction stands in for it, and without that the straight line.
func newModel(points []Point, rtt [][]float64) *model {
	m := &model{}
	for i, from := range points {
		m.anchors = append(m.anchors, anchor{point: from, unit: unitVector(from)})
		row := make([]float64, len(points))
		for j, to := range points {
			row[j] = bend(i, j, rtt, Distance(from, to))
		}
		m.bend = append(m.bend, row)
	}
	return m
}

func bend(i, j int, rtt [][]float64, km float64) float64 {
	t := rtt[i][j]
	if math.IsNaN(t) {
		t = rtt[j][i]
	}
	switch {
	case i == j:
		t = 1 // within a region
	case math.IsNaN(t):
		return 0
	}
	return math.Log((t + floorRTT) / (lineRTT(km) + floorRTT))
}

func (m *model) rtt(p, q Point) float64 {
	return m.between(Spot{p, m.nearest(p)}, Spot{q, m.nearest(q)})
}

func (m *model) between(p, q Spot) float64 {
	var bend float64
	for _, from := range p.near {
		for _, to := range q.near {
			bend += from.weight * m.bend[from.anchor][to.anchor] * to.weight
		}
	}
	return max(0, (lineRTT(Distance(p.point, q.point))+floorRTT)*math.Exp(bend)-floorRTT)
}

// share is how much an anchor has to say about a point.
type share struct {
	anchor int
	weight float64
}

// nearest gives the three anchors nearest to p; of equally near ones, those
// that stand first in the table. Their weights sum to 1.
func (m *model) nearest(p Point) [nearby]share {
	var best [nearby]share
	var cos [nearby]float64
	for k := range cos {
		cos[k] = -2 // farther than any
	}
	at := unitVector(p)
	for i := range m.anchors {
		// The cosine of the angle orders as distance does, at a tenth of the cost.
		c := at.dot(m.anchors[i].unit)
		for k := range cos {
			if c > cos[k] {
				copy(cos[k+1:], cos[k:])
				copy(best[k+1:], best[k:])
				cos[k], best[k] = c, share{anchor: i}
				break
			}
		}
	}
	var sum float64
	for k := range best {
		reach := Distance(p, m.anchors[best[k].anchor].point) + 100
		best[k].weight = 1 / (reach * reach)
		sum += best[k].weight
	}
	for k := range best {
		best[k].weight /= sum
	}
	return best
}

// vector is a point of the unit sphere.
type vector struct{ x, y, z float64 }

func unitVector(p Point) vector {
	const radian = math.Pi / 180
	sinLat, cosLat := math.Sincos(p.Lat * radian)
	sinLon, cosLon := math.Sincos(p.Lon * radian)
	return vector{cosLat * cosLon, cosLat * sinLon, sinLat}
}

func (v vector) dot(w vector) float64 { return v.x*w.x + v.y*w.y + v.z*w.z }
