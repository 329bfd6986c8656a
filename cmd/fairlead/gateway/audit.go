package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/replication"
	"github.com/fairlead-gateway/fairlead/replication/audit"
	"github.com/fairlead-gateway/fairlead/replication/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
)

func newAudit(c *copying, reg prometheus.Registerer, log *slog.Logger) *audit.Audit {
	return audit.New(audit.Options{
		Ledger: auditBook{c.record}, Fleet: c.audited, Reach: func(replica string) transfer.Replica { return c.reach(replica) }, Repair: c.repair, State: c.config.State, Metrics: reg, Log: log,
		Recorded: func(entries []audit.Entry) {
			news := make([]replication.Entry, len(entries))
			for i, e := range entries {
				news[i] = repairEntry(e)
			}
			c.News(news...)
		},
	})
}

// audited are the replicas that an audit may look at, home first: of what nobody has recorded, home's tags hold.
func (c *copying) audited() (list []audit.Replica) {
	fleet := c.present()
	served := fleet.Served()
	for _, r := range c.fleet().Replicas() {
		if r.Operator == router.Offline {
			continue
		}
		to := audit.Replica{
			Name: r.Name, Up: r.Upstream.Up, Mine: slices.Contains(served, r.Name),
			Survey: slices.Contains(fleet.Mine, r.Name), Seen: c.agreed != nil && c.agreed.surveyed(r.Name),
			LeftOut: func(repository string) bool { return c.leftOut(r.Name, repository) },
		}
		if r.Home {
			list = slices.Insert(list, 0, to)
		} else {
			list = append(list, to)
		}
	}
	return list
}

func (c *copying) repair(ctx context.Context, e audit.Entry, replica string) error {
	return c.Repair(ctx, repairEntry(e), replica)
}

func repairEntry(e audit.Entry) replication.Entry {
	return replication.Entry{
		Reference: replication.Reference(e.Reference), Digest: e.Digest, Stamp: replication.Stamp(e.Stamp), Deleted: e.Deleted, Confirmed: e.Confirmed,
	}
}

// auditBook is the record as an audit sees it. One that is not current is not asked.
type auditBook struct{ *record }

func auditEntry(e ledger.Entry) audit.Entry {
	return audit.Entry{
		Reference: audit.Reference(e.Reference), Digest: e.Digest, Stamp: audit.Stamp(e.Stamp), Deleted: e.Deleted, Confirmed: e.Confirmed,
	}
}

func (b auditBook) Repositories(after string, limit int) ([]string, error) {
	if err := b.known(); err != nil {
		return nil, err
	}
	return b.ledger.Repositories(after, limit)
}

func (b auditBook) List(repository, after string, limit int) ([]audit.Entry, error) {
	if err := b.known(); err != nil {
		return nil, err
	}
	list, err := b.ledger.List(repository, after, limit)
	out := make([]audit.Entry, len(list))
	for i, e := range list {
		out[i] = auditEntry(e)
	}
	return out, err
}

func (b auditBook) Get(what audit.Reference) (audit.Entry, bool, error) {
	if err := b.known(); err != nil {
		return audit.Entry{}, false, err
	}
	e, known, err := b.ledger.Get(ledger.Reference(what))
	return auditEntry(e), known, err
}

func (b auditBook) Found(what audit.Reference, c transfer.Content, replica string) error {
	content := ledger.Content{Digest: c.Digest, MediaType: c.MediaType, Size: c.Size}
	_, err := b.ledger.Found(ledger.Reference(what), content, replica)
	if errors.Is(err, ledger.ErrInvalid) && c.MediaType != "" { // clients may write anything there
		content.MediaType = ""
		_, err = b.ledger.Found(ledger.Reference(what), content, replica)
	}
	if err == nil {
		b.changed()
	}
	return err
}

func (b auditBook) PushOver(old audit.Entry, c transfer.Content, replica string) (bool, error) {
	before := ledger.Entry{Reference: ledger.Reference(old.Reference), Stamp: ledger.Stamp(old.Stamp)}
	content := ledger.Content{Digest: c.Digest, MediaType: c.MediaType, Size: c.Size}
	e, done, err := b.ledger.PushOver(before, content, replica)
	if errors.Is(err, ledger.ErrInvalid) && c.MediaType != "" {
		content.MediaType = ""
		e, done, err = b.ledger.PushOver(before, content, replica)
	}
	if done {
		b.changed()
		b.news([]ledger.Entry{e})
	}
	return done, err
}

func (b auditBook) Confirm(e audit.Entry, replica string) error {
	return book(b).Confirm(repairEntry(e), replica)
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

func (g *Gateway) audit() admin.Audit { return shownAudit(g.copying.audit.Asked()) }

func shownAudit(s audit.Snapshot) admin.Audit {
	out := admin.Audit{
		ID: s.ID, Started: s.Started, Ended: s.Ended, AuditRequest: admin.AuditRequest(s.Request), Repositories: s.Repositories, Done: s.Done,
		Total: s.Total, Remaining: s.Remaining, Unsure: s.Unsure, Differences: []admin.Difference{}, Problems: []admin.AuditProblem{},
	}
	for _, d := range s.Differences {
		out.Differences = append(out.Differences, admin.Difference{
			Replica: d.Replica, Repository: d.Repository, Name: d.Name, Reason: string(d.Reason), Has: d.Has, Want: d.Want, Lacks: d.Lacks,
			Pending: d.Pending, Outcome: string(d.Outcome), Problem: d.Problem,
		})
	}
	for _, p := range s.Problems {
		out.Problems = append(out.Problems, admin.AuditProblem(p))
	}
	return out
}
