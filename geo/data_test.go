package geo

import (
	"strings"
	"testing"
)

func TestDataAreComplete(t *testing.T) {
	if n := len(places); n != 145 {
		t.Errorf("%d places, want 145", n)
	}
	// ISO 3166-1 has 249 codes; XK is Kosovo's by custom.
	if n := len(countries); n != 250 {
		t.Errorf("%d countries, want 250", n)
	}
	if n := len(measured.anchors); n != 54 {
		t.Errorf("%d regions with times, want 54", n)
	}
	for i, cells := range strings.SplitAfter(strings.TrimSpace(rttCSV), "\n")[1:] {
		times, err := parseTimes(strings.TrimSuffix(cells, "\n"))
		if err != nil || len(times) != 54 {
			t.Fatalf("row %d: %d times, %v", i, len(times), err)
		}
		for j, ms := range times {
			if missing := ms != ms; missing != (i == j) {
				t.Errorf("time %d to %d: %v", i, j, ms)
			}
		}
	}
}

// A slip in one of the tables would put a place far from its country.
func TestPlacesAreInTheirCountries(t *testing.T) {
	for _, p := range places {
		middle, ok := CountryPoint(p.Country)
		if !ok {
			t.Errorf("%s: no country %q", p.Name, p.Country)
		}
		// Seattle's region is the farthest, in the country with the most of them.
		if km := Distance(p.Point, middle); km > 3000 {
			t.Errorf("%s is %.0f km from the point of %s", p.Name, km, p.Country)
		}
		if p.DisplayName == "" || strings.Contains(p.DisplayName, `"`) {
			t.Errorf("%s: display name %q", p.Name, p.DisplayName)
		}
	}
}

func TestCountryPoint(t *testing.T) {
	for _, tt := range []struct {
		iso  string
		want Point
		ok   bool
	}{
		{"NL", Point{52.2, 4.9}, true},
		{"NZ", Point{-36.9, 174.8}, true},
		{"XK", Point{42.7, 21.2}, true},
		{"nl", Point{}, false},
		{"ZZ", Point{}, false},
		{"", Point{}, false},
		{"code", Point{}, false},
	} {
		if got, ok := CountryPoint(tt.iso); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %v, %v, want %v, %v", tt.iso, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParsersRefuse(t *testing.T) {
	for name, table := range map[string]string{
		"few fields":   "heading\na/b,NL,1,2",
		"no number":    "heading\na/b,NL,x,2,B",
		"no point":     "heading\na/b,NL,91,2,B",
		"not sorted":   "heading\nb/b,NL,1,2,B\na/b,NL,1,2,B",
		"a name twice": "heading\na/b,NL,1,2,B\na/b,NL,1,2,B",
	} {
		if _, err := parsePlaces(table); err == nil {
			t.Errorf("places, %s: no error", name)
		}
	}
	for name, table := range map[string]string{
		"few fields": "heading\nNL,1",
		"no point":   "heading\nNL,1,181",
		"twice":      "heading\nNL,1,2\nNL,1,2",
	} {
		if _, err := parseCountries(table); err == nil {
			t.Errorf("countries, %s: no error", name)
		}
	}
	list := []Place{{Name: "azure/a"}, {Name: "azure/b"}, {Name: "azure/c"}}
	for name, table := range map[string]string{
		"a row too few":   "a,b,c\n,1,2\n1,,2",
		"a place unknown": "a,b,d\n,1,2\n1,,2\n1,2,",
		"a cell too few":  "a,b,c\n,1,2\n1,\n1,2,",
		"no number":       "a,b,c\n,1,2\n1,,x\n1,2,",
		"a negative time": "a,b,c\n,1,2\n1,,-1\n1,2,",
		"too few regions": "a,b\n,1\n1,",
	} {
		if _, err := parseModel(table, list); err == nil {
			t.Errorf("times, %s: no error", name)
		}
	}
	if _, err := parseModel("a,b,c\n,1,2\n1,,\n1,2,", list); err != nil {
		t.Errorf("times, a cell empty: %v", err)
	}
}
