package gateway

import (
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
)

// replicationStatus is of all replicas: of those that this gateway serves by its engine, of the others by the ledger.
func (g *Gateway) replicationStatus() admin.Replication {
	out := admin.Replication{Replicas: []admin.Progress{}}
	fleet, members := g.copying.Fleet(), g.copying.members()
	progress := map[string]replication.Progress{}
	for _, p := range g.copying.Progress() {
		progress[p.Replica] = p
	}
	for _, r := range fleet.Replicas {
		if waits := g.leavingText(r); waits != "" {
			out.Replicas = append(out.Replicas, admin.Progress{Replica: r.Name, State: admin.StateLeaving, WaitsFor: waits})
			continue
		}
		p, served := progress[r.Name]
		if served {
			out.Replicas = append(out.Replicas, servedHere(p, g.copying.member))
			continue
		}
		out.Replicas = append(out.Replicas, g.seenFromHere(r, members))
	}
	failing := g.writeFailing()
	for i := range out.Replicas {
		out.Replicas[i].WriteFailing = failing(out.Replicas[i].Replica)
	}
	_, out.Conflicts, _ = g.ledger.Conflicts(0, 1) // none where it cannot be read; it says so elsewhere
	return out
}

func servedHere(p replication.Progress, member string) admin.Progress {
	return admin.Progress{
		Replica: p.Replica, State: string(p.State), Served: member, Entries: p.Entries,
		Detail: &admin.Detail{Running: p.Running, Waiting: p.Waiting, GivenUp: p.GivenUp, Bytes: p.Bytes, Rate: p.Rate,
			Left: p.Left.Seconds()},
	}
}

// maxCounted bounds what is counted of a replica that somebody else serves.
const maxCounted = 10_000

func (g *Gateway) seenFromHere(r replication.Replica, members []replication.Member) admin.Progress {
	p := admin.Progress{Replica: r.Name, State: string(replication.Ready)}
	if r.Writable && !r.Offline {
		p.Served = replication.Server(r.Name, members, cluster.Arbiter)
	}
	// Asked first: what is listed before all that it lacks is known may be too little.
	known := p.Served == "" || g.ledger.Indexed(r.Name) &&
		(g.copying.agreed == nil || g.copying.agreed.surveyed(r.Name) || g.copying.Surveyed(r.Name))
	for after := ledger.Cursor(""); p.Entries < maxCounted; {
		page, next, err := g.ledger.Pending(r.Name, after, pageSize)
		p.Entries += len(page)
		if after = next; err != nil || next == "" {
			break
		}
	}
	if p.Entries > 0 {
		p.State = string(replication.Syncing)
	}
	if !known {
		p.State = string(replication.Provisioning)
	}
	return p
}

// pageSize is how many entries are read from the ledger at a time.
const pageSize = 1000

func (g *Gateway) failures() []admin.Failure {
	out := []admin.Failure{}
	for _, f := range g.copying.Failures() {
		out = append(out, failureOf(f))
	}
	return out
}

func failureOf(f replication.Failure) admin.Failure {
	out := admin.Failure{
		Replica: f.Task.Target, Action: string(f.Task.Action), Repository: f.Task.Repository, Digest: f.Task.Digest,
		Tags:  []string{},
		Tries: f.Tries, GivenUp: f.GivenUp, Reason: f.Reason,
	}
	if !f.GivenUp {
		out.Next = f.Next.UTC()
	}
	for _, e := range f.Task.Entries {
		if e.Name != e.Digest {
			out.Tags = append(out.Tags, e.Name)
		}
	}
	return out
}

func (g *Gateway) retry(replica, repository, reference string) int {
	return g.copying.Retry(func(f replication.Failure) bool {
		return isAbout(failureOf(f), replica, repository,
			reference)
	})
}

// isAbout: "" is any.
func isAbout(f admin.Failure, replica, repository, reference string) bool {
	return (replica == "" || replica == f.Replica) && (repository == "" || repository == f.Repository) &&
		(reference == "" || reference == f.Digest || slices.Contains(f.Tags, reference))
}

func (g *Gateway) conflicts() (admin.Conflicts, error) {
	out := admin.Conflicts{Conflicts: []admin.Conflict{}}
	for after := uint64(0); ; {
		page, total, err := g.ledger.Conflicts(after, pageSize)
		if err != nil {
			return admin.Conflicts{}, err
		}
		out.Total = total
		if len(page) == 0 {
			return out, nil
		}
		for _, c := range page {
			after = c.Number
			out.Conflicts = append(out.Conflicts, admin.Conflict{
				Repository: c.Winner.Repository, Tag: c.Winner.Name, Found: time.UnixMilli(c.WallMS).UTC(),
				Winner: sideOf(c.Winner), Loser: sideOf(c.Loser),
			})
		}
	}
}

func sideOf(e ledger.Entry) admin.Side {
	out := admin.Side{Digest: e.Digest, Deleted: e.Deleted, Replica: e.Replica}
	if !e.Found() {
		out.Gateway, out.Written = e.Gateway(), e.When()
	}
	return out
}
