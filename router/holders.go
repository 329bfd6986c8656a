package router

import "slices"

// follow asks first where it is known to be, or where a tag was resolved to the digest: the nearest may not have it
// yet, or lack its signatures. Holders that are down are asked last: the probes may be wrong, and nobody else may have
// it.
func (r Request) follow(d Decision) Decision {
	to := r.Gateway.find(r.Follow)
	holders := r.holders()
	slices.SortStableFunc(holders, slowLast)
	asks := func(x *Replica) bool { return x.Readable() && !r.throttles(x) }
	if i := slices.IndexFunc(holders, asks); i >= 0 {
		to = holders[i]
	}
	if asks(to) && to != d.Tries[0] {
		d.Reason, d.Tries = Followed, toFront(d.Tries, slices.Index(d.Tries, to))
	}
	for _, x := range holders {
		if x.inService() && !slices.Contains(d.Tries, x) {
			d.Tries = append(d.Tries, x)
		}
	}
	return d
}

// holders are those of the ledger's that the fleet has, the nearest first.
func (r Request) holders() (holders []*Replica) {
	for _, x := range r.Gateway {
		if slices.Contains(r.Holders, x.Name) {
			holders = append(holders, x)
		}
	}
	return holders
}

// Unheard are the holders that have not said that they do not have what is asked for, nor has any that shares with
// them. While there are some, it is not absent: whoever is told so may take it for new, and push something else in its
// place.
func (r Request) Unheard(absentAt []*Replica) (names []string) {
	for _, x := range r.holders() {
		if !slices.ContainsFunc(absentAt, x.Shares) {
			names = append(names, x.Name)
		}
	}
	return names
}
