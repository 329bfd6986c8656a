package replication

import (
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// pageSize is how many entries are read from the ledger at a time.
const pageSize = 1000

// scanDue reports whether the ledger is to be scanned for the worker's replica. incoming: entries have come.
// overflowed: more have come than were kept.
func (e *Engine) scanDue(w *worker, fleet Fleet, incoming, overflowed bool, now time.Time) bool {
	changed := w.readableChanged(fleet)
	surveyed := w.justSurveyed(e.Gateway.Surveyed(w.name))
	e.mu.Lock()
	defer e.mu.Unlock()
	if changed {
		w.breaker.until = now
	}
	// nothing may have come of it yet, or another gateway may have brought what is pending
	w.dirty = w.dirty || incoming
	return overflowed || changed || surveyed || w.refiltered || w.scanOverdue(now) || w.moreInLedger && w.queue.len() == 0
}

// scan finds in the ledger what the worker's replica lacks, and queues what comes first.
func (e *Engine) scan(w *worker, fleet Fleet, now time.Time) {
	w.lastScan = now
	e.mu.Lock()
	w.dirty, w.refiltered = false, false
	e.mu.Unlock()
	entries, pending, more, err := e.readPending(w, fleet, now)
	if err != nil {
		e.Log.Warn("the ledger cannot be read: nothing new is copied or deleted until it can",
			"replica", w.name, "error", err)
		e.mu.Lock()
		w.dirty = true
		e.mu.Unlock()
		return
	}
	tasks := plan(entries, w.name, fleet)
	e.dropObsoleteFailures(w, fleet)
	w.moreInLedger = more
	e.mu.Lock()
	defer e.mu.Unlock()
	w.queue, w.scanned, w.complete, w.pending = queue{}, true, w.surveyed && !w.refiltered, pending
	for _, t := range tasks {
		w.enqueue(t, found, now)
	}
	w.dirty = w.dirty || w.queue.len() > 0
	e.setGauges(w)
}

// readPending lists the entries that can be worked on now and come first, at most maxQueue of them; more: there are
// others. pending counts all that the replica has not confirmed.
func (e *Engine) readPending(w *worker, fleet Fleet, now time.Time) (
	entries []ledger.Entry, pending int, more bool, err error,
) {
	for after := ledger.Cursor(""); ; {
		page, next, err := e.Ledger.Pending(w.name, after, pageSize)
		if err != nil {
			return nil, 0, false, err
		}
		page = slices.DeleteFunc(page, func(e ledger.Entry) bool { return fleet.leftOut(e, w.name) })
		pending += len(page)
		for _, t := range e.startable(plan(page, w.name, fleet), w, now) {
			entries = append(entries, t.Entries...)
		}
		if after = next; next == "" {
			break
		}
		if len(entries) > 2*maxQueue {
			entries, more = firstInOrder(entries), true
		}
	}
	if len(entries) > maxQueue {
		entries, more = firstInOrder(entries), true
	}
	return entries, pending, more, nil
}

// firstInOrder keeps the maxQueue entries whose tasks come first.
func firstInOrder(entries []ledger.Entry) []ledger.Entry {
	slices.SortFunc(entries, func(a, b ledger.Entry) int { return compareTasks(taskOf(a), taskOf(b)) })
	return slices.Clone(entries[:maxQueue])
}

func taskOf(e ledger.Entry) Task {
	t := Task{Action: Copy, Repository: e.Repository, Entries: []ledger.Entry{e}}
	if e.Deleted {
		t.Action = Delete
	}
	return t
}

func (e *Engine) startable(tasks []Task, w *worker, now time.Time) []Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(tasks, func(t Task) bool { return w.failures.blocks(t, now) || w.supersedes(t) })
}

// dropObsoleteFailures drops failures whose task another has done, or that a later write has overtaken, or whose image
// a filter leaves out now.
func (e *Engine) dropObsoleteFailures(w *worker, fleet Fleet) {
	e.mu.Lock()
	var tasks []Task
	for _, have := range w.failures {
		tasks = append(tasks, have.Task)
	}
	e.mu.Unlock()
	for _, t := range tasks {
		if !fleet.leftOut(t.Entries[0], w.name) && e.stillWanted(t) {
			continue
		}
		e.mu.Lock()
		delete(w.failures, t.key())
		e.mu.Unlock()
	}
}

func (e *Engine) stillWanted(t Task) bool {
	return slices.ContainsFunc(t.Entries, func(entry ledger.Entry) bool { return e.wanted(entry, t) })
}

// wanted reports whether the entry is the ledger's latest, and the task's replica has not confirmed it, or the task is
// forced. If the ledger cannot be read it is wanted.
func (e *Engine) wanted(entry ledger.Entry, t Task) bool {
	now, known, err := e.Ledger.Get(entry.Reference)
	return err != nil || known && now.Stamp == entry.Stamp && (t.Force || !slices.Contains(now.Confirmed, t.Target))
}
