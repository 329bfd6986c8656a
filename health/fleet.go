package health

import (
	"net/netip"
	"slices"

	"github.com/fairlead-gateway/fairlead/router"
)

// assemble joins the operator's word with what was seen. What nobody probes counts as up and steady.
//
// Whoever runs is a front of the region that it stands in. If it sees none of them up it cannot reach its own public
// address, as behind a NAT without hairpin, and what it sees of them says nothing.
//
// Fronts that take their leave are down, whoever still reaches them.
func assemble(replicas []router.Replica, here string, leaving []netip.Addr, seen map[key]router.Health) *router.Fleet {
	replicas = slices.Clone(replicas)
	for i := range replicas {
		r := &replicas[i]
		r.Upstream = healthOf(seen, key{replica: r.Name})
		r.Fronts = slices.Clone(r.Fronts)
		for j := range r.Fronts {
			r.Fronts[j].Health = healthOf(seen, key{r.Name, r.Fronts[j].Addr.Unmap()})
		}
		r.FrontsUnseen = r.Name == here && !r.FrontUp()
		for j := range r.Fronts {
			if r.FrontsUnseen {
				r.Fronts[j].Health = router.Health{Up: true}
			}
			if r.Name == here && slices.Contains(leaving, r.Fronts[j].Addr) {
				r.Fronts[j].Health = router.Health{}
			}
		}
	}
	return router.NewFleet(replicas)
}

func healthOf(seen map[key]router.Health, k key) router.Health {
	if h, probed := seen[k]; probed {
		return h
	}
	return router.Health{Up: true}
}
