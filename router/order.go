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

// Order is every replica of a fleet, the nearest first.
type Order []Ranked

// Order ranks the replicas for a client at loc. A client that nobody can place counts as being at
// home. It depends on the file and the geo table alone, never on where a gateway stands or what it
// measured, so that all gateways answer alike.
func (f *Fleet) Order(loc geo.Location) Order {
	if !loc.Placed() {
		return f.orderAt(f.home.Point)
	}
	return f.orderAt(loc.Point)
}

// OrderHere ranks the replicas for the gateway that stands beside the replica called here. That one
// is first whatever the model says of it: it is the one on the same network. A name that the fleet
// does not have gives nil.
func (f *Fleet) OrderHere(here string) Order {
	beside := f.Replica(here)
	if beside == nil {
		return nil
	}
	order := f.orderAt(beside.Point)
	return toFront(order, slices.IndexFunc(order, func(r Ranked) bool { return r.Replica == beside }))
}

func (f *Fleet) orderAt(p geo.Point) Order {
	order := make(Order, len(f.replicas))
	for i := range f.replicas {
		r := &f.replicas[i]
		order[i] = Ranked{r, int(math.Round(geo.ExpectedRTT(p, r.Point) + r.Bias))}
	}
	slices.SortFunc(order, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(a.ExpectedMS, b.ExpectedMS), cmp.Compare(a.Name, b.Name))
	})
	return order
}

// reasonFor names the choice of x by its place in the order.
func (o Order) reasonFor(x *Replica) Reason {
	if x == o[0].Replica {
		return Nearest
	}
	return Failover
}

func (o Order) find(name string) *Replica {
	for _, x := range o {
		if x.Name == name {
			return x.Replica
		}
	}
	return nil
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
			if passes(x.Replica) {
				out = append(out, x.Replica)
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
