package router

import (
	"net/netip"
	"slices"
)

// With is the fleet with other words on what is up; front is the zero Addr for the upstream. What is
// about to change stays what it was: that is this gateway's own knowledge.
func (f *Fleet) With(up func(replica string, front netip.Addr) bool) *Fleet {
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		r := &replicas[i]
		r.Upstream.Up = up(r.Name, netip.Addr{})
		r.Fronts = slices.Clone(r.Fronts)
		for j := range r.Fronts {
			r.Fronts[j].Health.Up = up(r.Name, r.Fronts[j].Addr)
		}
	}
	return NewFleet(replicas)
}

// WithReadOnly is the fleet in which these replicas are known to take no writes.
func (f *Fleet) WithReadOnly(names []string) *Fleet {
	if len(names) == 0 {
		return f
	}
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		replicas[i].ReadOnly = slices.Contains(names, replicas[i].Name)
	}
	return NewFleet(replicas)
}
