package audit

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// pollInterval is how often it is looked which audits are due.
const pollInterval = 5 * time.Second

// Run does audits in the background and on demand, until ctx ends.
func (a *Audit) Run(ctx context.Context) {
	var group errgroup.Group
	group.Go(func() error { a.watch(ctx); return nil })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case report := <-a.requests:
				a.perform(ctx, report, false, "", func(string) {})
			}
		}
	})
	_ = group.Wait() // has no errors
}

// watch starts the audits that are due.
func (a *Audit) watch(ctx context.Context) {
	history, survey := map[string]lastAudit{}, firstSurvey{began: time.Now()}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		fleet := a.Gateway.Replicas()
		if a.learnSurveyed(fleet) {
			survey.heardAt = time.Now()
		}
		noteUnreachable(fleet, history)
		_, unreadable := a.Ledger.Repositories("", 1)
		names := due(fleet, a.Checkpoint.read().Surveyed, history, survey, time.Now())
		if len(names) > 0 && unreadable == nil {
			a.background(ctx, names, history)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// learnSurveyed remembers the replicas that other gateways have surveyed, for when this one serves them. It reports
// whether the first replica has just become one of them.
func (a *Audit) learnSurveyed(fleet []Replica) (first bool) {
	complete := a.Checkpoint.read().Surveyed
	var more []string
	for _, r := range fleet {
		if r.SurveyedElsewhere && !slices.Contains(complete, r.holder()) {
			more = append(more, r.holder())
		}
	}
	if len(more) > 0 {
		a.Checkpoint.update(func(c *checkpoint) { c.addSurveyed(more) })
	}
	return len(more) > 0 && more[0] == fleet[0].holder()
}

func (a *Audit) background(ctx context.Context, names []string, history map[string]lastAudit) {
	m := a.Checkpoint.read()
	after := ""
	if slices.Equal(m.Run, names) {
		after = m.After
	}
	a.Checkpoint.update(func(c *checkpoint) { c.Run, c.After = names, after })
	began, holders := time.Now(), map[string]string{}
	for _, r := range a.Gateway.Replicas() {
		holders[r.Name] = r.holder()
	}
	report := &report{Started: began, Request: Request{Replicas: names, Repair: true}}
	complete := a.perform(ctx, report, true, after, func(after string) {
		a.Checkpoint.update(func(c *checkpoint) { c.After = after })
	})
	if ctx.Err() != nil {
		return
	}
	for _, name := range names {
		history[holders[name]] = lastAudit{began: began, retrySoon: !slices.Contains(complete, name)}
	}
	if complete == nil { // the next one resumes there
		return
	}
	var surveyed []string
	for _, name := range complete {
		surveyed = append(surveyed, holders[name])
	}
	if after == "" { // else a part of it is from before a restart
		a.Checkpoint.surveyed(surveyed, began)
	}
	a.Checkpoint.forget(slices.Collect(maps.Values(holders)))
	a.Checkpoint.update(func(c *checkpoint) {
		c.Run, c.After = nil, ""
		c.addSurveyed(surveyed)
	})
}

// perform does one audit, and returns the replicas that it could ask to the end; nil if it was cut short.
func (a *Audit) perform(
	ctx context.Context, report *report, background bool, after string, save func(string),
) (complete []string) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &run{
		Audit: a, report: report, background: background, saveProgress: save, stop: stop,
		holders: map[string]string{}, failed: map[string]int{}, givenUp: map[string]bool{}, listed: map[string]*catalog{},
	}
	complete = r.auditAll(ctx, after)
	report.progress(func(f *findings) { f.Ended = time.Now() })
	s := report.snapshot()
	a.Log.Info("an audit has ended", "replicas", s.Replicas, "repositories", s.Repositories,
		"differences", s.Total, "remaining", s.Remaining, "problems", s.Unsure,
		"took", s.Ended.Sub(s.Started).Round(time.Millisecond))
	for _, p := range s.Problems[:min(len(s.Problems), 10)] {
		a.Log.Warn("an audit could not find out all", "replica", p.Replica, "repository", p.Repository, "problem",
			p.Text)
	}
	return complete
}

var (
	// ErrBusy is for a request while the audit before has not ended.
	ErrBusy = errors.New("an audit is under way")
	// ErrReplica is for a request that names another replica than those of the fleet.
	ErrReplica = errors.New("no such replica, or it is offline")
)

// Ask queues an audit on demand, which Run does.
func (a *Audit) Ask(q Request) (Snapshot, error) {
	var names []string
	for _, r := range a.Gateway.Replicas() {
		if len(q.Replicas) == 0 || slices.Contains(q.Replicas, r.Name) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 || len(q.Replicas) > 0 && len(names) < len(q.Replicas) {
		return Snapshot{}, ErrReplica
	}
	q.Replicas = names
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest != nil && a.latest.snapshot().Ended.IsZero() {
		return Snapshot{}, ErrBusy
	}
	a.lastID++
	report := &report{ID: a.lastID, Started: time.Now(), Request: q}
	a.requests <- report // there is room: the one before has ended
	a.latest = report
	return report.snapshot(), nil
}

// Latest is the latest audit on demand. Its ID is 0 if there was none.
func (a *Audit) Latest() Snapshot {
	a.mu.Lock()
	report := a.latest
	a.mu.Unlock()
	if report == nil {
		return Snapshot{}
	}
	return report.snapshot()
}
