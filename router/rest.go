package router

import "slices"

// Rest is who may have the rest of a body, in the order in which they are asked, once it could not go on at the
// replicas that were left: all others of its decision, then those that were left, beginning with the first. Their
// connections may have broken, and nothing else. So they are asked also where probes have called them down meanwhile,
// unless their word does not count.
func (r Request) Rest(d Decision, left []string) []*Replica {
	var others, again []*Replica
	for _, x := range d.Tries {
		if !slices.Contains(left, x.Name) {
			others = append(others, x)
		}
	}
	for i, name := range left {
		x := r.Gateway.find(name)
		out := slices.Contains(r.Barred, name) || slices.Contains(r.Damaged, name) || slices.Contains(left[:i], name)
		if x != nil && x.inService() && !out && (r.Named == "" || r.Named == name) {
			again = append(again, x)
		}
	}
	return append(others, again...)
}
