package router

import "slices"

// Rest is who may have the rest of a body, in the order in which they are asked, once the replicas that were left could
// not go on with it: all others of the decision. Those that were left come last, the one that was left first before
// the others: its connection may have broken, and nothing else.
func (d Decision) Rest(left []string) []*Replica {
	var others, again []*Replica
	for _, r := range d.Tries {
		if slices.Contains(left, r.Name) {
			again = append(again, r)
		} else {
			others = append(others, r)
		}
	}
	slices.SortStableFunc(again, func(a, b *Replica) int {
		return slices.Index(left, a.Name) - slices.Index(left, b.Name)
	})
	return append(others, again...)
}
