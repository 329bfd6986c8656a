package geo

import (
	"slices"
	"strings"
	"testing"
)

func TestLookupPlace(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Place
		ok   bool
	}{
		{"azure/westeurope", Place{"azure/westeurope", "West Europe", "NL", Point{52.3667, 4.9}}, true},
		{"gcp/southamerica-east1", Place{"gcp/southamerica-east1", "Osasco, São Paulo, Brazil", "BR",
			Point{-23.5319, -46.791}}, true},
		{"ibm/Washington DC", Place{"ibm/Washington DC", "Washington DC", "US", Point{38.9, -77.04}}, true},
		// Published in the sea off Majorca.
		{"azure/spaincentral", Place{"azure/spaincentral", "Spain Central", "ES", Point{40.42, -3.7}}, true},
		{"azure/WestEurope", Place{}, false},
		{"westeurope", Place{}, false},
		{"", Place{}, false},
		{"zzz", Place{}, false},
	} {
		if got, ok := LookupPlace(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPlacesAreSortedAndTheCallersOwn(t *testing.T) {
	list := Places()
	if !slices.IsSortedFunc(list, func(a, b Place) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	list[0].Name = "spoilt"
	if Places()[0].Name == "spoilt" {
		t.Error("a caller can change the places")
	}
}

func TestClosestPlaces(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want []string
	}{
		{"azure/westeurop", 1, []string{"azure/westeurope"}},
		{"azure/wsetus", 3, []string{"azure/westus", "azure/eastus", "azure/westus2"}},
		{"azure/westus4", 3, []string{"azure/westus", "azure/westus2", "azure/westus3"}},
		{"westeurope", 1, []string{"azure/westeurope"}},
		{"aws/us-east-3", 2, []string{"aws/us-east-1", "aws/us-east-2"}},
		{"azure/westus", 1, []string{"azure/westus"}},
		{"azure/westus", 0, nil},
		{"azure/westus", -1, nil},
	} {
		if got := ClosestPlaces(tt.name, tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := len(ClosestPlaces("", 1000)); got != len(places) {
		t.Errorf("%d of 1000, want all %d", got, len(places))
	}
	if got := len(ClosestPlaces(strings.Repeat("x", 1<<24), 3)); got != 3 {
		t.Errorf("%d places for a very long name, want 3", got)
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"kitten", "sitting", 3},
		{"flaw", "lawn", 2},
		{"ab", "ba", 2},
	} {
		if a, b := EditDistance(tt.a, tt.b), EditDistance(tt.b, tt.a); a != tt.want || b != tt.want {
			t.Errorf("%q and %q: %d and %d, want %d", tt.a, tt.b, a, b, tt.want)
		}
	}
}
