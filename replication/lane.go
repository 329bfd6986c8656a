package replication

import (
	"cmp"
	"slices"
	"time"
)

// lane is what one replica is to get.
type lane struct {
	name string // Static.

	// Of Run's goroutine alone.
	more   bool // the ledger has more than the queue
	scanAt time.Time
	up     []string // replicas that could be read from, the last time

	// Guarded by the engine's mu.
	queue   []Task // in order; at most maxQueue
	queued  map[taskKey]bool
	running map[taskKey]Task
	scanned bool
	pending int   // entries
	done    int64 // tasks
}

// changed: other replicas are up than before, so that something may be done that could not be.
func (l *lane) changed(fleet Fleet) bool {
	var up []string
	for _, r := range fleet.Replicas {
		if r.readable() {
			up = append(up, r.Name)
		}
	}
	was := l.up
	l.up = up
	return !slices.Equal(was, up)
}

// covers: what is under way comes to the same.
func (l *lane) covers(t Task) bool {
	other, runs := l.running[t.key()]
	return runs && t.stamp().Compare(other.stamp()) <= 0
}

// inTheWay: what is under way writes the same name. In which order a replica takes what is sent at once nobody knows.
func (l *lane) inTheWay(t Task) bool {
	if _, runs := l.running[t.key()]; runs {
		return true
	}
	for _, other := range l.running {
		for _, e := range other.Entries {
			if slices.ContainsFunc(t.Entries, func(o Entry) bool { return o.Reference == e.Reference }) {
				return true
			}
		}
	}
	return false
}

// merge is one task for the entries of two with one key.
func merge(a, b Task) Task {
	if a.Action != Copy || b.Action != Copy {
		if a.stamp().Compare(b.stamp()) > 0 {
			return a
		}
		return b
	}
	for _, e := range a.Entries {
		if !slices.ContainsFunc(b.Entries, func(o Entry) bool { return o.Reference == e.Reference }) {
			b.Entries = append(b.Entries, e)
		}
	}
	slices.SortFunc(b.Entries, func(a, b Entry) int { return cmp.Or(a.Stamp.Compare(b.Stamp), cmp.Compare(a.Name, b.Name)) })
	for _, s := range a.Sources {
		if !slices.Contains(b.Sources, s) {
			b.Sources = append(b.Sources, s)
		}
	}
	return b
}

// pageSize is how many entries are read from the ledger in one go.
const pageSize = 1000

// scan finds in the ledger what the lane's replica lacks, and queues what comes first of it.
func (e *Engine) scan(l *lane, fleet Fleet, now time.Time) {
	l.scanAt = now.Add(tick)
	var entries []Entry
	pending, more := 0, false
	for after := ""; ; {
		page, next, err := e.Ledger.Pending(l.name, after, pageSize)
		if err != nil {
			e.Log.Warn("the ledger cannot be read", "error", err)
			return
		}
		page = slices.DeleteFunc(page, func(e Entry) bool { return fleet.leftOut(e, l.name) })
		pending += len(page)
		for _, t := range e.startable(Plan(page, l.name, fleet), l, now) {
			entries = append(entries, t.Entries...)
		}
		if after = next; next == "" {
			break
		}
		if len(entries) > 2*maxQueue {
			entries, more = first(entries), true
		}
	}
	if len(entries) > maxQueue {
		entries, more = first(entries), true
	}
	tasks := e.startable(Plan(entries, l.name, fleet), l, now)
	e.forget(l)
	l.more = more
	e.mu.Lock()
	defer e.mu.Unlock()
	l.queue, l.scanned, l.pending = tasks, true, pending
	clear(l.queued)
	for _, t := range tasks {
		l.queued[t.key()] = true
	}
	e.gauges(l)
}

// first are those that Plan has done first.
func first(entries []Entry) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int { return order(single(a), single(b)) })
	return slices.Clone(entries[:maxQueue])
}

func single(e Entry) Task {
	t := Task{Action: Copy, Repository: e.Repository, Entries: []Entry{e}}
	if e.Deleted {
		t.Action = Delete
	}
	return t
}

func (e *Engine) startable(tasks []Task, l *lane, now time.Time) []Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(tasks, func(t Task) bool { return e.letters.blocks(t, now) || l.covers(t) })
}

// forget lets go of letters whose task is done otherwise, or was overtaken.
func (e *Engine) forget(l *lane) {
	for _, letter := range e.Letters() {
		if letter.Task.Target != l.name || slices.ContainsFunc(letter.Task.Entries, func(entry Entry) bool { return e.wanted(entry, letter.Task) }) {
			continue
		}
		e.mu.Lock()
		delete(e.letters, letter.Task.key())
		e.mu.Unlock()
	}
}

// wanted: the entry is the last word, and the task's replica has not confirmed it, or is to have it again. In doubt it is.
func (e *Engine) wanted(entry Entry, t Task) bool {
	now, known, err := e.Ledger.Get(entry.Reference)
	return err != nil || known && now.Stamp == entry.Stamp && (t.Again || !slices.Contains(now.Confirmed, t.Target))
}
