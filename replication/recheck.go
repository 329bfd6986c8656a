package replication

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// maxLately is how many names that were written or deleted are remembered, of all replicas.
const maxRecentWrites = 16_384

// lookAgain is longer than it takes to record what a replica has accepted: a manifest's config may be asked for first
// (5 s), what cannot be recorded at once is tried for a second more, and other gateways are asked to for 3 s.
const recheckDelay = 10 * time.Second

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

// doubts are the names of one replica that are to be looked at. Guarded by the engine's mu.
type rechecks struct {
	names   map[ledger.Reference]bool // at most maxLately
	running int                       // how many goroutines do that
	lacking map[ledger.Reference]bool // what was looked at, and is not there as the record says; at most maxLately
}

func (d *rechecks) add(what ledger.Reference) {
	if len(d.names) < maxRecentWrites {
		d.names[what] = true
	}
}

// doubtsOf is called with mu.
func (e *Engine) rechecksOf(target string) *rechecks {
	d := e.rechecks[target]
	if d == nil {
		d = &rechecks{names: map[ledger.Reference]bool{}, lacking: map[ledger.Reference]bool{}}
		e.rechecks[target] = d
	}
	return d
}

// writes remembers what is about to be written, or deleted, and what of it the record said. A client may have written
// the same name there before us without the record having heard of it: our write lies over his then, and once it has
// heard, it says that the replica has his. What an earlier write of ours may lie over counts until wrote.
func (e *Engine) rememberWriteBegun(target string, what ledger.Reference, said hlc.Stamp) {
	key := taskKey{target, what}
	if before, ok := e.recentWrites.Peek(key); ok && before.Compare(said) < 0 {
		said = before
	}
	e.recentWrites.Add(key, said)
}

// wrote: the replica has it as the record said then.
func (e *Engine) rememberWriteDone(target string, what ledger.Reference, said hlc.Stamp) {
	e.recentWrites.Add(taskKey{target, what}, said)
}

// Brought remembers what is about to be written to a replica in our own name by somebody else than the engine.
func (e *Engine) RememberWrite(target string, what ledger.Reference) {
	now, _, _ := e.Ledger.Get(what) // what cannot be read counts as older than all
	e.rememberWriteBegun(target, what, now.Stamp)
}

// Doubt has a name looked at that somebody else may have deleted at the replica after it was pushed again.
func (e *Engine) Recheck(target string, what ledger.Reference) {
	e.recheckNames(target, []ledger.Reference{what})
}

// Missed has a name looked at that the replica is said to have, and did not when somebody asked. Where others delete
// without the ledger hearing of it, that is after a while: their deletion has come to all replicas that are up by
// then, so that nobody has what would be brought back.
func (e *Engine) RecheckMissing(target string, what ledger.Reference) {
	if e.UnseenDeletes {
		e.recheckAfter(e.recheckDelay, target, what)
		return
	}
	e.Recheck(target, what)
}

// doubt has names looked at that something we did may have taken along.
func (e *Engine) recheckNames(target string, names []ledger.Reference) {
	for _, what := range names {
		e.rememberWriteBegun(target, what, hlc.Stamp{})
	}
	e.mu.Lock()
	d := e.rechecksOf(target)
	for _, what := range names {
		d.add(what)
	}
	e.mu.Unlock()
	e.signal()
}

// longLooks are when to look at what may yet come about: object storage needs many minutes for some commits.
var recheckTimes = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 16 * time.Minute}

// doubtLong has a name looked at again and again for a while.
func (e *Engine) recheckRepeatedly(target string, what ledger.Reference) {
	for _, after := range recheckTimes {
		e.recheckAfter(after, target, what)
	}
}

// Uncertain has a name looked at, now and for a while, that somebody else has written and taken back.
func (e *Engine) RecheckRepeatedly(target string, what ledger.Reference) {
	e.Recheck(target, what)
	e.recheckRepeatedly(target, what)
}

// doubtIn has a name looked at after a while. Of too many only the first are.
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

// overtaken: the record has since heard of a later write of the name, which the replica is said to have.
func (e *Engine) mayBeOverwritten(target string, entry ledger.Entry) bool {
	said, ok := e.recentWrites.Peek(taskKey{target, entry.Reference})
	return ok && entry.Stamp.Compare(said) > 0 && slices.Contains(entry.Confirmed, target)
}

// review has those looked at whose later write the news tells of, or, where there may have been more news, the ledger.
func (e *Engine) startRechecks(ctx context.Context, target string, news []ledger.Entry, missed bool) {
	if missed {
		news = e.recentEntries(target)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.rechecksOf(target)
	again := map[ledger.Reference]bool{}
	for _, entry := range news {
		if e.mayBeOverwritten(target, entry) {
			d.add(entry.Reference)
			again[entry.Reference] = true
		}
	}
	if missed { // of what nobody looks at again nobody would hear that it is there
		maps.DeleteFunc(d.lacking, func(what ledger.Reference, _ bool) bool { return !again[what] })
	}
	for range min(e.Concurrency-d.running, len(d.names)) {
		d.running++
		e.running.Go(func() { e.runRechecks(ctx, target, d) })
	}
}

func (e *Engine) recentEntries(target string) (entries []ledger.Entry) {
	for _, key := range e.recentWrites.Keys() {
		if key.target != target {
			continue
		}
		if entry, known, err := e.Ledger.Get(key.Reference); known && err == nil {
			entries = append(entries, entry)
		}
	}
	return entries
}

// settle ends when there is nothing left to look at.
func (e *Engine) runRechecks(ctx context.Context, target string, d *rechecks) {
	for {
		what, ok := e.nextRecheck(ctx, d)
		if !ok {
			return
		}
		if err := e.recheckName(ctx, target, what); err != nil && ctx.Err() == nil {
			// It is still remembered, so that the next scan finds it.
			e.Log.Warn("what lies over a later write is not mended", "replica", target, "repository", what.Repository, "name", what.Name, "error", err)
		}
	}
}

// doubted takes one of the names; without any, nobody looks any longer.
func (e *Engine) nextRecheck(ctx context.Context, d *rechecks) (what ledger.Reference, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() == nil {
		for what := range d.names {
			delete(d.names, what)
			return what, true
		}
	}
	d.running--
	return ledger.Reference{}, false
}

// look writes again, or deletes again, what the replica does not have as the record says. What we write meanwhile is
// looked after by its own task, since the record has heard of the later write.
func (e *Engine) recheckName(ctx context.Context, target string, what ledger.Reference) error {
	entry, known, err := e.Ledger.Get(what)
	if err != nil {
		return err
	}
	if !known || !e.mayBeOverwritten(target, entry) {
		e.noteLacking(target, what, true)
		return nil
	}
	if e.Writes.Writing(nameOf(target, what)) { // what is there now says nothing
		e.recheckAfter(e.recheckDelay, target, what)
		return nil
	}
	so, err := e.isAsRecorded(ctx, target, entry)
	if err != nil {
		return err
	}
	if !so && entry.Deleted {
		// It may have been pushed a moment ago, which is not recorded yet.
		if !sleep(ctx, e.recheckDelay) {
			return context.Cause(ctx)
		}
		if now, _, err := e.Ledger.Get(what); err != nil || now.Stamp != entry.Stamp {
			return err
		}
	}
	if !so {
		e.noteLacking(target, what, false)
		t, err := e.repairTask(entry, target)
		if err != nil {
			return err
		}
		if err := e.executeNow(ctx, t); err != nil && !(errors.Is(err, errNoSource) && e.goneEverywhere(ctx, target, entry)) {
			return err
		}
	}
	e.rememberWriteDone(target, what, entry.Stamp)
	e.noteLacking(target, what, true)
	return nil
}

// goneUnheard: all that are said to have it say that they do not. Then others have deleted it, and there is nothing to
// wait for.
func (e *Engine) goneEverywhere(ctx context.Context, target string, entry ledger.Entry) bool {
	if !e.UnseenDeletes {
		return false
	}
	fleet := e.Fleet()
	for _, name := range entry.Confirmed {
		r := fleet.replica(name)
		if name == target || r == nil {
			continue
		}
		if !r.readable() {
			return false
		}
		if so, err := e.isAsRecorded(ctx, name, entry); so || err != nil {
			return false
		}
	}
	return true
}

// saw takes note of how a name was: what is not so counts as pending until it is.
func (e *Engine) noteLacking(target string, what ledger.Reference, so bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch d := e.rechecksOf(target); {
	case so:
		delete(d.lacking, what)
	case len(d.lacking) < maxRecentWrites:
		d.lacking[what] = true
	}
	if w := e.workers[target]; w != nil && w.scanned {
		e.setGauges(w)
	}
}

// isSo reports whether the replica has it as the entry says.
func (e *Engine) isAsRecorded(ctx context.Context, target string, entry ledger.Entry) (bool, error) {
	if entry.Blob {
		there, err := transfer.HasBlob(ctx, e.reach(target), entry.Repository, entry.Name, nil)
		return there != entry.Deleted, err
	}
	c, there, err := transfer.Look(ctx, e.reach(target), entry.Repository, entry.Name, nil)
	if entry.Deleted {
		return !there, err
	}
	return there && c.Digest == entry.Digest, err
}

// again is a task for what a replica is said to have. That it is the only one is no reason not to try: of a tag it may
// have the manifest. Of a blob the record does not say who has it. With a digest that was deleted there some
// registries have deleted the tags that it has got since.
func (e *Engine) repairTask(entry ledger.Entry, target string) (Task, error) {
	t := Task{Action: Copy, Target: target, Repository: entry.Repository, Digest: entry.Digest, Entries: []ledger.Entry{entry}, Force: true}
	if entry.Deleted {
		t.Action = Delete
		return t, nil
	}
	if entry.Blob {
		t.Sources = e.Fleet().readable(target)
		return t, nil
	}
	holders := []ledger.Entry{entry}
	whole, known, err := e.Ledger.Get(ledger.Reference{Repository: entry.Repository, Name: entry.Digest})
	if err == nil && !entry.IsTag() {
		err = e.recheckTags(entry, target)
	}
	if known && !whole.Deleted {
		holders = append(holders, whole)
	}
	fleet := e.Fleet()
	if to := fleet.replica(target); to != nil {
		t.Sources = fleet.sources(holders, to)
	}
	return t, err
}

func (e *Engine) recheckTags(digest ledger.Entry, target string) error {
	tags, err := e.Ledger.Tagged(digest.Repository, digest.Digest, maxRecentWrites)
	var names []ledger.Reference
	for _, tag := range tags {
		if slices.Contains(tag.Confirmed, target) {
			names = append(names, tag.Reference)
		}
	}
	e.recheckNames(target, names)
	return err
}

// lost says so loudly when nobody has what a client was told is kept.
func (e *Engine) logLost(t Task, err error) error {
	switch {
	case t.Action != Copy || !t.Force || !errors.Is(err, errNoSource):
	case e.UnseenDeletes:
		e.Log.Warn("what was pushed is on no replica that can be asked: push it again, if it was not deleted through another gateway",
			"replica", t.Target, "repository", t.Repository, "digest", t.Digest, "error", err)
	default:
		e.Log.Error("what was pushed is on no replica that can be asked: push it again",
			"replica", t.Target, "repository", t.Repository, "digest", t.Digest, "error", err)
	}
	return err
}
