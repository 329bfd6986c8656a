package geo

import (
	"cmp"
	"slices"
	"strings"
)

// Place is a named point where a replica may stand.
type Place struct {
	Name        string // cloud and region, such as "azure/westeurope"
	DisplayName string // as the cloud calls it, such as "West Europe"
	Country     string // ISO 3166-1 alpha-2
	Point       Point
}

// LookupPlace finds a place by its exact name.
func LookupPlace(name string) (Place, bool) { return findPlace(places, name) }

// Places lists all places, sorted by name.
func Places() []Place { return slices.Clone(places) }

// CountryPoint is a point that stands for a whole country, by its ISO 3166-1
// alpha-2 code in upper case: where most of its people are, or its capital.
func CountryPoint(iso string) (Point, bool) {
	p, ok := countries[iso]
	return p, ok
}

func findPlace(sorted []Place, name string) (Place, bool) {
	i, ok := slices.BinarySearchFunc(sorted, name, func(p Place, name string) int {
		return strings.Compare(p.Name, name)
	})
	if !ok {
		return Place{}, false
	}
	return sorted[i], true
}

// ClosestPlaces gives the n names that are spelled most like name, the closest
// first; equally close ones by name.
func ClosestPlaces(name string, n int) []string {
	// No place has so long a name, and a file may hold a value of any length.
	name = name[:min(len(name), 64)]
	type candidate struct {
		name  string
		edits int
	}
	all := make([]candidate, len(places))
	for i, p := range places {
		all[i] = candidate{p.Name, EditDistance(name, p.Name)}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.edits, b.edits) })

	var names []string
	for _, c := range all[:max(0, min(n, len(all)))] {
		names = append(names, c.name)
	}
	return names
}

// EditDistance counts the bytes to insert, delete or replace to turn a into b
// (Levenshtein), a row of the usual table at a time.
func EditDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
