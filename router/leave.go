package router

import (
	"net/netip"
	"slices"
)

// ServedBeside reports whether DNS has somebody else to send clients to, in this region or another, when the gateway
// behind these fronts of here stops.
func (f *Fleet) ServedBeside(here string, fronts []netip.Addr) bool {
	return slices.ContainsFunc(f.replicas, func(r Replica) bool {
		return r.Operator == Online && slices.ContainsFunc(r.Fronts, func(front Front) bool {
			own := r.Name == here && (r.FrontsUnseen || slices.Contains(fronts, front.Addr))
			return front.Health.Up && !own
		})
	})
}
