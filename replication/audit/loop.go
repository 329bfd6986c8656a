package audit

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const poll = 5 * time.Second // of who can be asked

// Run looks at replicas in the background, and when somebody asks for it, until ctx ends.
func (a *Audit) Run(ctx context.Context) {
	var group errgroup.Group
	group.Go(func() error { a.watch(ctx); return nil })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case report := <-a.requests:
				a.work(ctx, report, false, "", func(string) {})
			}
		}
	})
	_ = group.Wait() // has no errors
}

// watch begins what is due.
func (a *Audit) watch(ctx context.Context) {
	history, w := map[string]past{}, watch{began: time.Now()}
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		fleet := a.Fleet()
		if a.seen(fleet) {
			w.heard = time.Now()
		}
		away(fleet, history)
		_, unreadable := a.Ledger.Repositories("", 1)
		if names := due(fleet, a.Checkpoint.read().Whole, history, w, time.Now()); len(names) > 0 && unreadable == nil {
			a.background(ctx, names, history)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// seen takes over what other gateways have found out: who serves a replica after them need not say that it is unknown. It
// reports whether the fleet's first replica is among that.
func (a *Audit) seen(fleet []Replica) (first bool) {
	whole := a.Checkpoint.read().Whole
	var more []string
	for _, r := range fleet {
		if r.Seen && !slices.Contains(whole, r.Name) {
			more = append(more, r.Name)
		}
	}
	if len(more) > 0 {
		a.Checkpoint.update(func(m *memory) { m.surveyed(more) })
	}
	return len(more) > 0 && more[0] == fleet[0].Name
}

func (a *Audit) background(ctx context.Context, names []string, history map[string]past) {
	m := a.Checkpoint.read()
	after := ""
	if slices.Equal(m.Run, names) {
		after = m.After
	}
	a.Checkpoint.update(func(m *memory) { m.Run, m.After = names, after })
	began := time.Now()
	report := &Report{Started: began, Request: Request{Replicas: names, Repair: true}}
	whole := a.work(ctx, report, true, after, func(after string) { a.Checkpoint.update(func(m *memory) { m.After = after }) })
	if ctx.Err() != nil {
		return
	}
	for _, name := range names {
		history[name] = past{began: began, soon: !slices.Contains(whole, name)}
	}
	if whole == nil { // it goes on where it stopped
		return
	}
	a.Checkpoint.update(func(m *memory) {
		m.Run, m.After = nil, ""
		m.surveyed(whole)
	})
}

// work does one audit. Without an end of its own there are no whole replicas: nil.
func (a *Audit) work(ctx context.Context, report *Report, background bool, after string, saved func(string)) (whole []string) {
	r := &run{
		Audit: a, report: report, background: background, saved: saved,
		failed: map[string]int{}, lost: map[string]bool{}, listed: map[string]*catalog{},
	}
	whole = r.all(ctx, after)
	report.progress(func(f *findings) { f.Ended = time.Now() })
	s := report.snapshot()
	a.Log.Info("audit", "replicas", s.Replicas, "repositories", s.Repositories, "differences", s.Total, "remaining", s.Remaining, "problems", s.Unsure,
		"took", s.Ended.Sub(s.Started).Round(time.Millisecond))
	for _, p := range s.Problems[:min(len(s.Problems), 10)] {
		a.Log.Warn("audit", "replica", p.Replica, "repository", p.Repository, "problem", p.Text)
	}
	return whole
}

var (
	// ErrBusy is for a request while the one before is not done.
	ErrBusy = errors.New("an audit is under way")
	// ErrReplica is for one that is not there.
	ErrReplica = errors.New("no such replica, or it is offline")
)

// Ask begins an audit, which Run does.
func (a *Audit) Ask(q Request) (Snapshot, error) {
	var names []string
	for _, r := range a.Fleet() {
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
	if a.asked != nil && a.asked.snapshot().Ended.IsZero() {
		return Snapshot{}, ErrBusy
	}
	a.lastID++
	report := &Report{ID: a.lastID, Started: time.Now(), Request: q}
	a.requests <- report // there is room: the one before has ended
	a.asked = report
	return report.snapshot(), nil
}

// Asked is the last audit that somebody asked for; one with ID 0 if there was none.
func (a *Audit) Asked() Snapshot {
	a.mu.Lock()
	report := a.asked
	a.mu.Unlock()
	if report == nil {
		return Snapshot{}
	}
	return report.snapshot()
}
