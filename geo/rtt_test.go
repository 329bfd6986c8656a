package geo

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func point(t *testing.T, name string) Point {
	t.Helper()
	p, ok := LookupPlace(name)
	if !ok {
		t.Fatalf("no place %q", name)
	}
	return p.Point
}

// near reports whether two numbers are alike; NaN is near nothing.
func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// The wanted times were computed from data/rtt.csv by another program.
func TestExpectedRTT(t *testing.T) {
	for _, tt := range []struct {
		from, to  string
		want      float64 // ms
		published float64 // ms; 0: none
	}{
		{"azure/westus", "azure/eastus", 67.169, 67},
		{"azure/eastus", "azure/westus", 68.966, 69},
		{"azure/westus", "azure/westeurope", 144.985, 145},
		{"azure/canadacentral", "azure/westus", 68.896, 69},
		{"azure/canadacentral", "azure/eastus", 17.069, 18},
		{"azure/southafricanorth", "azure/westeurope", 165.632, 166},
		{"azure/jioindiawest", "azure/eastus", 211.488, 212},
		{"azure/australiaeast", "azure/westus", 140.445, 140},
		{"azure/brazilsouth", "azure/eastus", 118.187, 118},
		{"azure/uaenorth", "azure/germanywestcentral", 98.478, 100},
		{"azure/westeurope", "azure/westeurope", 1.982, 0},
	} {
		got := ExpectedRTT(point(t, tt.from), point(t, tt.to))
		if !near(got, tt.want, 0.001) {
			t.Errorf("%s to %s: %.3f ms, want %.3f", tt.from, tt.to, got, tt.want)
		}
		if tt.published > 0 && !near(got, tt.published, 2) {
			t.Errorf("%s to %s: %.3f ms, published %.0f", tt.from, tt.to, got, tt.published)
		}
	}
	for _, tt := range []struct {
		name string
		p, q Point
		want float64
	}{
		{"antipodes", Point{0, 0}, Point{0, 180}, 429.789},
		{"pole to pole", Point{90, 0}, Point{-90, 0}, 330.047},
		{"Honolulu to the west coast", Point{21.3, -157.9}, Point{37.783, -122.417}, 46.023},
		{"Reykjavik to Dublin", Point{64.1, -21.9}, Point{53.3478, -6.2597}, 23.894},
	} {
		if got := ExpectedRTT(tt.p, tt.q); !near(got, tt.want, 0.001) {
			t.Errorf("%s: %.3f ms, want %.3f", tt.name, got, tt.want)
		}
	}
}

func TestExpectedRTTOfNoPoint(t *testing.T) {
	here := Point{52.4, 4.9}
	for _, p := range []Point{{math.NaN(), 0}, {0, math.Inf(1)}, {91, 0}, {0, -181}} {
		if a, b := ExpectedRTT(p, here), ExpectedRTT(here, p); a != farthestRTT || b != farthestRTT {
			t.Errorf("to and from %v: %v, %v ms, want %v", p, a, b, farthestRTT)
		}
	}
}

func randomPoint(t *rapid.T, label string) Point {
	return Point{rapid.Float64Range(-90, 90).Draw(t, label+".lat"), rapid.Float64Range(-180, 180).Draw(t, label+".lon")}
}

func TestExpectedRTTAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := randomPoint(t, "p"), randomPoint(t, "q")
		there, back := ExpectedRTT(p, q), ExpectedRTT(q, p)
		// A comparison with NaN is false.
		if !(there >= 0 && there < farthestRTT) {
			t.Fatalf("%v ms", there)
		}
		if !near(there, back, 20) {
			t.Fatalf("%v ms there, %v ms back", there, back)
		}
		if away := ExpectedRTT(p, p); away > 12 || away > there+10 {
			t.Fatalf("%v ms to itself, %v ms to another point", away, there)
		}
	})
}

// Along a line away from a region the time must grow in the large, though a
// region on the way may bend it.
func TestExpectedRTTGrowsWithDistance(t *testing.T) {
	home := point(t, "azure/southcentralus")
	last := -1.0
	for lon := home.Lon; lon >= -180; lon -= 20 {
		got := ExpectedRTT(Point{home.Lat, lon}, home)
		if got <= last {
			t.Errorf("%v ms at longitude %v, %v ms twenty degrees nearer", got, lon, last)
		}
		last = got
	}
}

func TestNewModelWithoutATime(t *testing.T) {
	nan := math.NaN()
	points := []Point{{0, 0}, {0, 10}, {0, 20}}
	m := newModel(points, [][]float64{{nan, 50, nan}, {nan, nan, 60}, {nan, 70, nan}})
	line := lineRTT(Distance(points[0], points[1])) + 4
	for _, tt := range []struct {
		name string
		i, j int
		want float64
	}{
		{"published", 0, 1, math.Log(54 / line)},
		{"the opposite direction", 1, 0, math.Log(54 / line)},
		{"published both ways", 1, 2, math.Log(64 / line)},
		{"published both ways, back", 2, 1, math.Log(74 / line)},
		{"published neither way", 0, 2, 0},
		{"within a region", 1, 1, math.Log(5 / 10.55)},
	} {
		if got := m.bend[tt.i][tt.j]; !near(got, tt.want, 1e-12) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// No time at all between places far apart must not make a near one negative.
func TestModelIsNeverBelowZero(t *testing.T) {
	m := newModel([]Point{{0, 0}, {0, 60}, {0, 120}}, square(3))
	if got := m.rtt(Point{0, 59}, Point{0, 61}); got < 0 {
		t.Errorf("%v ms", got)
	}
	if got := m.rtt(Point{0, 30}, Point{0, 30}); got != 0 {
		t.Errorf("%v ms, want 0", got)
	}
}

func TestNearestAnchors(t *testing.T) {
	m := newModel([]Point{{0, 0}, {0, 0}, {0, 50}, {0, 0}, {0, 1}}, square(5))
	shares := m.nearest(Point{})
	var anchors []int
	var sum float64
	for _, s := range shares {
		anchors = append(anchors, s.anchor)
		sum += s.weight
	}
	if want := []int{0, 1, 3}; !slices.Equal(anchors, want) {
		t.Errorf("anchors %v, want %v: equally near ones in the table's order", anchors, want)
	}
	if !near(sum, 1, 1e-12) {
		t.Errorf("weights sum to %v, want 1", sum)
	}
}

func square(n int) [][]float64 {
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, n)
	}
	return rows
}

func BenchmarkExpectedRTT(b *testing.B) {
	for b.Loop() {
		ExpectedRTT(Point{64.1, -21.9}, Point{53.3, -6.3})
	}
}
