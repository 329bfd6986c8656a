package router

import (
	"cmp"
	"math"
	"slices"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Ranked is one replica with the round-trip time expected from where the order is seen.
type Ranked struct {
	*Replica
	ExpectedMS int // bias included; rounded, since ties to the millisecond are ordered by name
}

// Ranking is every replica of a fleet with its expected time, the nearest first.
type Ranking []Ranked

// Order is the ranking without the times.
func (r Ranking) Order() Order {
	if r == nil {
		return nil
	}
	order := make(Order, len(r))
	for i, x := range r {
		order[i] = x.Replica
	}
	return order
}

// Order is every replica of a fleet, the nearest first.
type Order []*Replica

// Rank ranks the replicas for a client at loc. A client that nobody can place counts as being at
// home. It depends on the file and the geo table alone, never on where a gateway stands or what it
// measured, so that all gateways answer alike.
func (f *Fleet) Rank(loc geo.Location) Ranking {
	if !loc.Placed() {
		return f.rankAt(f.home.Point, f.spots())
	}
	return f.rankAt(loc.Point, f.spots())
}

// RankHere ranks the replicas for the gateway that stands beside the replica called here. That one
// is first whatever the model says of it: it is the one on the same network. A name that the fleet
// does not have gives nil.
func (f *Fleet) RankHere(here string) Ranking {
	beside := f.Replica(here)
	if beside == nil {
		return nil
	}
	ranking := f.rankAt(beside.Point, f.spots())
	return toFront(ranking, slices.IndexFunc(ranking, func(r Ranked) bool { return r.Replica == beside }))
}

// OrderHere is RankHere without the times.
func (f *Fleet) OrderHere(here string) Order { return f.RankHere(here).Order() }

// spots are where the replicas are.
func (f *Fleet) spots() []geo.Spot {
	spots := make([]geo.Spot, len(f.replicas))
	for i, r := range f.replicas {
		spots[i] = geo.SpotOf(r.Point)
	}
	return spots
}

func (f *Fleet) rankAt(p geo.Point, spots []geo.Spot) Ranking {
	from, ranking := geo.SpotOf(p), make(Ranking, len(f.replicas))
	for i := range f.replicas {
		r := &f.replicas[i]
		ranking[i] = Ranked{r, int(math.Round(from.ExpectedRTT(spots[i]) + r.Bias))}
	}
	slices.SortFunc(ranking, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(a.ExpectedMS, b.ExpectedMS), cmp.Compare(a.Name, b.Name))
	})
	return ranking
}

// reasonFor names the choice of x by its place in the order.
func (o Order) reasonFor(x *Replica) Reason {
	if x == o[0] {
		return Nearest
	}
	return Failover
}

func (o Order) find(name string) *Replica {
	for _, x := range o {
		if x.Name == name {
			return x
		}
	}
	return nil
}

// without is the order without those of these names.
func (o Order) without(names []string) Order {
	if len(names) == 0 {
		return o
	}
	return slices.DeleteFunc(slices.Clone(o), func(x *Replica) bool { return slices.Contains(names, x.Name) })
}

// usable is what may be asked at all: what is up; if nothing is, all that the operator did not take
// offline, since it is likelier that the probes are wrong (fail open); if he took all, all.
func (o Order) usable() []*Replica {
	return o.firstOf((*Replica).Readable, (*Replica).inService)
}

// firstOf gives those replicas that pass the first test that any passes; all, if none passes any.
func (o Order) firstOf(tests ...func(*Replica) bool) []*Replica {
	for _, passes := range append(tests, func(*Replica) bool { return true }) {
		var out []*Replica
		for _, x := range o {
			if passes(x) {
				out = append(out, x)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// toFront is a copy of s with its i-th element first.
func toFront[S ~[]E, E any](s S, i int) S {
	return slices.Concat(s[i:i+1], s[:i], s[i+1:])
}
