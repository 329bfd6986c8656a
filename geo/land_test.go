package geo

import "testing"

func TestOnLand(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   Point
		want bool
	}{
		// Polygons that cross the date line are easily filled on the wrong side: of each row that has one, both.
		{"La Paz", Point{-16.5, -68.13}, true},
		{"Goiânia", Point{-16.68, -49.25}, true},
		{"Arequipa", Point{-16.4, -71.54}, true},
		{"Labasa, Fiji", Point{-16.43, 179.38}, true},
		{"Rovaniemi", Point{66.5, 25.73}, true},
		{"Kiruna", Point{67.86, 20.23}, true},
		{"Salekhard", Point{66.53, 66.61}, true},
		{"Anadyr", Point{64.73, 177.51}, true},
		{"Egvekinot, behind the date line", Point{66.32, -179.12}, true},
		{"Wrangel Island", Point{71.2, -179.5}, true},
		{"the Pacific at Fiji's latitude", Point{-16.5, -130.5}, false},
		{"the Indian Ocean at Fiji's latitude", Point{-16.5, 80.5}, false},
		{"the Norwegian Sea", Point{66.5, 2.5}, false},
		{"the Arctic Ocean at Wrangel Island's latitude", Point{71.5, -10.5}, false},

		{"Bermuda", Point{32.29, -64.78}, true},
		{"Malé", Point{4.17, 73.51}, true},
		{"Funafuti", Point{-8.52, 179.2}, true},
		{"Nauru", Point{-0.53, 166.92}, true},
		{"Honolulu", Point{21.31, -157.86}, true},
		{"Easter Island", Point{-27.15, -109.43}, true},
		{"Ponta Delgada", Point{37.74, -25.67}, true},
		{"Valparaíso, on the coast", Point{-33.05, -71.62}, true},

		{"Null Island, as some maps have it", Point{0.5, 0.5}, false},
		{"the Atlantic", Point{0, -25}, false},
		{"the Pacific, farthest from land", Point{-48.88, -123.39}, false},
		{"the South Pole", Point{-90, 0}, true},
		{"the North Pole", Point{90, 0}, false},
		{"the corners of the map", Point{90, 180}, false},
		{"the date line in Antarctica, from the west", Point{-85, 180}, true},
		{"the date line in Antarctica, from the east", Point{-85, -180}, true},
	} {
		if got := onLand(tt.at); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, p := range Places() {
		if !onLand(p.Point) {
			t.Errorf("%s is at sea", p.Name)
		}
	}
}

func TestCellOf(t *testing.T) {
	for _, tt := range []struct {
		at       Point
		lat, lon int
	}{
		{Point{0, 0}, 0, 0},
		{Point{0.99, 0.99}, 0, 0},
		{Point{-0.01, -0.01}, -1, -1},
		{Point{52.37, 4.9}, 52, 4},
		{Point{90, 180}, 89, 179},
		{Point{-90, -180}, -90, -180},
		{Point{89.99, 179.99}, 89, 179},
	} {
		if lat, lon := CellOf(tt.at); lat != tt.lat || lon != tt.lon {
			t.Errorf("%v: %d, %d, want %d, %d", tt.at, lat, lon, tt.lat, tt.lon)
		}
	}
}
