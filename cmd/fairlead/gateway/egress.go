package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// egress is what has left replicas through this gateway.
func (g *Gateway) egress() admin.Egress {
	return egressOf(g.sent.Here, g.sent.Since, g.sent.Snapshot())
}

// egressOf adds up, by replica and path, in the order of their names.
func egressOf(here string, since time.Time, bytes map[upstream.Flow]int64) admin.Egress {
	out := admin.Egress{Here: here, Since: since, Flows: []admin.Flow{}}
	rows := map[upstream.Flow]*admin.Flow{}
	for f, n := range bytes {
		key := upstream.Flow{Replica: f.Replica, Path: f.Path, To: f.To}
		row := rows[key]
		if row == nil {
			row = &admin.Flow{Replica: f.Replica, Path: f.Path, To: f.To}
			rows[key] = row
		}
		sums := []*admin.EgressBytes{&row.EgressBytes, &out.Total}
		if f.Path == upstream.PathPull {
			sums = append(sums, &out.Pulls)
		}
		for _, sum := range sums {
			if f.Scope == upstream.ScopeLocal {
				sum.Local += n
			} else {
				sum.Remote += n
			}
		}
		if f.Nearest == "true" {
			row.Nearest += n
		}
	}
	for _, row := range rows {
		out.Flows = append(out.Flows, *row)
	}
	slices.SortFunc(out.Flows, func(a, b admin.Flow) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Replica, b.Replica), cmp.Compare(a.To, b.To))
	})
	if all := out.Total.Local + out.Total.Remote; all > 0 {
		out.RemoteShare = new(float64(out.Total.Remote) / float64(all))
	}
	return out
}
