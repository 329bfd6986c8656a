package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/proxy"
)

// maxListed is as many as each of the two tables that the list is made of holds.
const maxListed = 65_536

func (g *Gateway) leases() []admin.Lease {
	var agreed []cluster.Grant
	if g.agreed != nil {
		agreed = g.agreed.Leases()
	}
	return leasesOf(agreed, g.proxy.Leases())
}

func (g *Gateway) lease(repository string) admin.RepositoryLease {
	var agreed cluster.Grant
	var out admin.RepositoryLease
	if g.agreed != nil {
		agreed, _ = g.agreed.Lease(repository)
		out.Arbiter = g.agreed.Arbiter(repository)
	}
	if l := leaseOf(agreed, g.proxy.Lease(repository)); l.Owner != "" {
		out.Lease = &l
	}
	return out
}

// leasesOf lists what gateways agree on, then what only this one remembers, by name.
func leasesOf(agreed []cluster.Grant, own []proxy.LeaseInfo) []admin.Lease {
	remembered := make(map[string]proxy.LeaseInfo, len(own))
	for _, l := range own {
		remembered[l.Repository] = l
	}
	out := []admin.Lease{}
	for _, g := range agreed {
		out = append(out, leaseOf(g, remembered[g.Repository]))
		delete(remembered, g.Repository)
	}
	for _, l := range remembered {
		out = append(out, leaseOf(cluster.Grant{}, l))
	}
	out = out[:min(len(out), maxListed)]
	slices.SortFunc(out, func(a, b admin.Lease) int { return cmp.Compare(a.Repository, b.Repository) })
	return out
}

// leaseOf is one repository's lease as it steers requests: what gateways agree on comes first. Either may be the
// zero value. What is agreed on moves in steps; this gateway's own writes are known exactly.
func leaseOf(agreed cluster.Grant, own proxy.LeaseInfo) admin.Lease {
	if agreed.Owner == "" {
		return admin.Lease{Repository: own.Repository, Owner: own.Owner, Granted: own.Granted, Last: own.Last,
			Open: own.Open}
	}
	l := admin.Lease{
		Repository: agreed.Repository, Owner: agreed.Owner, Granted: time.UnixMilli(agreed.Stamp.WallMS),
		Last: agreed.Last,
		Open: own.Open, GrantedBy: agreed.Stamp.Member, Arbitrated: !agreed.Alone,
	}
	if own.Last.After(l.Last) {
		l.Last = own.Last
	}
	return l
}
