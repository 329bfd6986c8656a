package gateway

import (
	"errors"
	"net/http"
	"slices"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/router"
)

// Replicas are the replicas that an audit may look at, home first: of what nobody has recorded, home's tags hold.
func (c *copying) Replicas() (list []audit.Replica) {
	fleet := c.Fleet()
	served := fleet.Served()
	for _, r := range c.fleet().Replicas() {
		if r.Operator == router.Offline {
			continue
		}
		to := audit.Replica{
			Name: r.Name, Holder: c.ledger.Holder(r.Name), Up: r.Upstream.Up, Served: slices.Contains(served, r.Name),
			Survey: slices.Contains(fleet.Assigned, r.Name), SurveyedElsewhere: c.agreed != nil &&
				c.agreed.surveyed(r.Name),
			LeftOut: func(repository string) bool { return c.leftOut(r.Name, repository) },
		}
		if r.Operator == router.Leaving {
			if since := c.leaveBegan(r.Name); !c.checkpoint.SurveyedSince(to.Holder, since) {
				to.Awaited = since
			}
		}
		if r.Home {
			list = slices.Insert(list, 0, to)
		} else {
			list = append(list, to)
		}
	}
	return list
}

// askAudit begins an audit for somebody.
func (g *Gateway) askAudit(q admin.AuditRequest) (admin.Audit, error) {
	s, err := g.copying.audit.Ask(audit.Request(q))
	switch {
	case errors.Is(err, audit.ErrBusy):
		err = admin.Problem{Status: http.StatusConflict, Detail: err.Error()}
	case errors.Is(err, audit.ErrReplica):
		err = admin.Problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return shownAudit(s), err
}

func (g *Gateway) audit() admin.Audit { return shownAudit(g.copying.audit.Latest()) }

func shownAudit(s audit.Snapshot) admin.Audit {
	out := admin.Audit{
		ID: s.ID, Started: s.Started, Ended: s.Ended, AuditRequest: admin.AuditRequest(s.Request),
		Repositories: s.Repositories, Done: s.Done,
		Total: s.Total, Remaining: s.Remaining, Unsure: s.Unsure, Differences: []admin.Difference{},
		Problems: []admin.AuditProblem{},
	}
	for _, d := range s.Differences {
		out.Differences = append(out.Differences, admin.Difference{
			Replica: d.Replica, Repository: d.Repository, Name: d.Name, Reason: string(d.Reason), Has: d.Has,
			Want: d.Want, Lacks: d.Lacks,
			Pending: d.Pending, Outcome: string(d.Outcome), Problem: d.Problem,
		})
	}
	for _, p := range s.Problems {
		out.Problems = append(out.Problems, admin.AuditProblem(p))
	}
	return out
}
