package replication

import (
	"context"
	"maps"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// recheckDelay is longer than it takes to record what a replica has accepted: a manifest's config may be read first (5
// s), the ledger is tried for a second more, and other gateways are asked to record it for 3 s.
const recheckDelay = 10 * time.Second

// recheckTimes are when to recheck a write that may yet land: object storage needs many minutes for some commits.
var recheckTimes = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 16 * time.Minute}

// sleep reports whether the time has passed before ctx ended.
func sleep(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// rechecks are the names of one replica to be looked at, since the replica may not have them as the ledger says.
// Guarded by the engine's mu.
type rechecks struct {
	names   map[ledger.Reference]bool // at most maxRecentWrites
	running int                       // goroutines that look
	lacking map[ledger.Reference]bool // not as the ledger says when looked at; at most maxRecentWrites
}

func (r *rechecks) add(what ledger.Reference) {
	if len(r.names) < maxRecentWrites {
		r.names[what] = true
	}
}

// rechecksOf is called with mu.
func (e *Engine) rechecksOf(target string) *rechecks {
	r := e.rechecks[target]
	if r == nil {
		r = &rechecks{names: map[ledger.Reference]bool{}, lacking: map[ledger.Reference]bool{}}
		e.rechecks[target] = r
	}
	return r
}

// Recheck has names looked at that the replica may not have as the ledger says, and repairs them if it does not.
func (e *Engine) Recheck(target string, names ...ledger.Reference) {
	for _, what := range names {
		e.rememberWriteBegun(target, what, hlc.Stamp{})
	}
	e.mu.Lock()
	r := e.rechecksOf(target)
	for _, what := range names {
		r.add(what)
	}
	e.mu.Unlock()
	e.Wake()
}

// RecheckMissing rechecks a name that the replica has confirmed, and answered 404 for. Where others may delete without
// the ledger hearing of it, it waits until their deletion has reached all replicas that are up: so nothing comes back.
func (e *Engine) RecheckMissing(target string, what ledger.Reference) {
	if e.UnseenDeletes {
		e.recheckAfter(e.recheckDelay, target, what)
		return
	}
	e.Recheck(target, what)
}

// recheckLater has a name rechecked at each of recheckTimes.
func (e *Engine) recheckLater(target string, what ledger.Reference) {
	for _, after := range recheckTimes {
		e.recheckAfter(after, target, what)
	}
}

// RecheckRepeatedly rechecks a name that somebody else has written and undone, now and at each of recheckTimes.
func (e *Engine) RecheckRepeatedly(target string, what ledger.Reference) {
	e.Recheck(target, what)
	e.recheckLater(target, what)
}

// recheckAfter has a name rechecked after a while. Beyond maxRecentWrites names at a time it does nothing.
func (e *Engine) recheckAfter(long time.Duration, target string, what ledger.Reference) {
	if e.delayedRechecks.Add(1) > maxRecentWrites {
		e.delayedRechecks.Add(-1)
		return
	}
	time.AfterFunc(long, func() {
		e.delayedRechecks.Add(-1)
		e.Recheck(target, what)
	})
}

// startRechecks rechecks the names of which a later write has been recorded: by the incoming entries, or, if all is to
// be looked through, by the ledger.
func (e *Engine) startRechecks(ctx context.Context, target string, incoming []ledger.Entry, all bool) {
	if all {
		incoming = e.recentEntries(target)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rechecksOf(target)
	again := map[ledger.Reference]bool{}
	for _, entry := range incoming {
		if e.mayBeOverwritten(target, entry) {
			r.add(entry.Reference)
			again[entry.Reference] = true
		}
	}
	if all { // nobody would hear that a name is there which nobody looks at again
		maps.DeleteFunc(r.lacking, func(what ledger.Reference, _ bool) bool { return !again[what] })
	}
	for range min(e.settings.Load().Concurrency-r.running, len(r.names)) {
		r.running++
		e.running.Go(func() { e.runRechecks(ctx, target, r) })
	}
}

// runRechecks ends when no name is left.
func (e *Engine) runRechecks(ctx context.Context, target string, r *rechecks) {
	for {
		what, ok := e.nextRecheck(ctx, r)
		if !ok {
			return
		}
		if err := e.recheckName(ctx, target, what); err != nil && ctx.Err() == nil {
			// The name is still remembered, so the next scan finds it.
			e.Log.Warn("a replica may not have a later write, and could not be repaired; it is tried again after the next scan",
				"replica", target, "repository", what.Repository, "name", what.Name, "error", err)
		}
	}
}

// nextRecheck takes one of the names. If there is none the goroutine that asks ends.
func (e *Engine) nextRecheck(ctx context.Context, r *rechecks) (what ledger.Reference, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() == nil {
		for what := range r.names {
			delete(r.names, what)
			return what, true
		}
	}
	r.running--
	return ledger.Reference{}, false
}

// recheckName writes or deletes a name again if the replica does not have it as the ledger says. What a task writes
// meanwhile the task itself looks after, since the ledger has heard of the later write.
func (e *Engine) recheckName(ctx context.Context, target string, what ledger.Reference) error {
	entry, known, err := e.Ledger.Get(what)
	if err != nil {
		return err
	}
	if !known || !e.mayBeOverwritten(target, entry) {
		e.noteRechecked(target, what, true)
		return nil
	}
	if e.Writes.Writing(writeName(target, what)) { // the answer would say nothing
		e.recheckAfter(e.recheckDelay, target, what)
		return nil
	}
	so, err := e.isAsRecorded(ctx, target, entry)
	if err != nil {
		return err
	}
	if !so && entry.Deleted {
		// A push may have been accepted a moment ago, and is not recorded yet.
		if !sleep(ctx, e.recheckDelay) {
			return context.Cause(ctx)
		}
		if now, _, err := e.Ledger.Get(what); err != nil || now.Stamp != entry.Stamp {
			return err
		}
	}
	if !so {
		e.noteRechecked(target, what, false)
		if err := e.repairName(ctx, target, entry); err != nil {
			return err
		}
	}
	e.rememberWriteDone(target, what, entry.Stamp)
	e.noteRechecked(target, what, true)
	return nil
}

// noteRechecked counts a name as pending while the replica does not have it as the ledger says. so: it has.
func (e *Engine) noteRechecked(target string, what ledger.Reference, so bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch r := e.rechecksOf(target); {
	case so:
		delete(r.lacking, what)
	case len(r.lacking) < maxRecentWrites:
		r.lacking[what] = true
	}
	if w := e.workers[target]; w != nil && w.scanned {
		e.setGauges(w)
	}
}

// isAsRecorded reports whether the replica has the name as the entry says.
func (e *Engine) isAsRecorded(ctx context.Context, target string, entry ledger.Entry) (bool, error) {
	if entry.Blob {
		there, err := e.reach(target).Repository(entry.Repository).HasBlob(ctx, entry.Name)
		return there != entry.Deleted, err
	}
	c, there, err := e.reach(target).Repository(entry.Repository).Look(ctx, entry.Name)
	if entry.Deleted {
		return !there, err
	}
	return there && c.Digest == entry.Digest, err
}
