package geo

import "strconv"

// Report is what was left out of a table, or taken for less than it was said to be.
type Report struct {
	Networks, Records int
	NoPoint           int // records whose point is none on Earth: taken for their country
	Zero              int // records at 0,0
	Sea               int // records in a cell without land
	Vague             int // records that say no more than a country
	Nowhere           int // of all these, records of which not even the country is known
	Long              int // networks that are longer than what is kept apart: where they differ, most addresses count
}

func (r Report) String() string {
	n := strconv.Itoa
	return n(r.Networks) + " networks of " + n(r.Records) + " records; taken for their country: " + n(r.Vague) +
		" vague ones, " +
		n(r.Sea) + " at sea, " + n(r.Zero) + " at 0,0, " + n(r.NoPoint) + " without a point; nowhere: " + n(r.Nowhere) +
		"; " +
		n(r.Long) + " networks were too long"
}
