package geo

import (
	"math"
	"testing"
)

func TestPointValid(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		point Point
		want  bool
	}{
		{Point{}, true},
		{Point{90, 180}, true},
		{Point{-90, -180}, true},
		{Point{90.001, 0}, false},
		{Point{-91, 0}, false},
		{Point{0, 180.001}, false},
		{Point{0, -181}, false},
		{Point{nan, 0}, false},
		{Point{0, nan}, false},
		{Point{inf, 0}, false},
		{Point{0, -inf}, false},
	} {
		if got := tt.point.Valid(); got != tt.want {
			t.Errorf("%v.Valid() = %v, want %v", tt.point, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	const half = math.Pi * earthRadius
	for _, tt := range []struct {
		name string
		a, b Point
		want float64 // km
	}{
		{"nowhere", Point{48.2, 16.4}, Point{48.2, 16.4}, 0},
		{"a degree of latitude", Point{0, 0}, Point{1, 0}, half / 180},
		{"a degree of longitude at 60 north", Point{60, 0}, Point{60, 1}, 55.597},
		{"pole to pole", Point{90, 12}, Point{-90, -77}, half},
		{"antipodes on the equator", Point{0, 0}, Point{0, 180}, half},
		{"antipodes elsewhere", Point{33.3, 44.4}, Point{-33.3, -135.6}, half},
		{"across the date line", Point{0, 179.5}, Point{0, -179.5}, half / 180},
		{"one meridian by two names", Point{10, 180}, Point{10, -180}, 0},
		{"San Francisco to Amsterdam", Point{37.783, -122.417}, Point{52.3667, 4.9}, 8773},
	} {
		for _, got := range []float64{Distance(tt.a, tt.b), Distance(tt.b, tt.a)} {
			if !near(got, tt.want, 0.5) {
				t.Errorf("%s: %.3f km, want %.3f", tt.name, got, tt.want)
			}
		}
	}
}

// The haversine of antipodes is rounded to either side of 1.
func TestDistanceOfAntipodes(t *testing.T) {
	const half = math.Pi * earthRadius
	for lat := -90.0; lat <= 90; lat += 0.7 {
		for lon := -180.0; lon <= 0; lon += 0.7 {
			if got := Distance(Point{lat, lon}, Point{-lat, lon + 180}); !near(got, half, 0.5) {
				t.Fatalf("%v, %v: %v km to the antipode, want %v", lat, lon, got, half)
			}
		}
	}
}
