package replication

import (
	"errors"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// lane is what one replica is to get.
type lane struct {
	name string // Static.

	// Of Run's goroutine alone.
	more bool      // the ledger has more than the queue
	scan time.Time // the last
	up   []string  // replicas that could be read from, the last time
	last origin    // of what began

	// Guarded by the engine's mu.
	queue   queue
	running map[taskKey]Task
	writing map[ledger.Reference]bool // what the running ones write
	letters letters
	due     time.Time // when the first letter may be; not before this anybody looks
	pause   pause
	dirty   bool // something has happened since the last scan, so that another may find something else
	scanned bool
	pending int   // entries
	done    int64 // tasks
}

func newLane(name string) *lane {
	return &lane{name: name, running: map[taskKey]Task{}, writing: map[ledger.Reference]bool{}, letters: letters{}}
}

// overdue: a scan reads all that the replica lacks, also what filters leave out and what has no source, so it is not made
// every minute where nothing happens.
func (l *lane) overdue(now time.Time) bool {
	since := now.Sub(l.scan)
	return since >= idleTick || l.dirty && since >= tick
}

// next is what begins now, if there is room. What was told, found and retried takes turns, and retries have half of the room at most:
// they may take long to fail.
func (l *lane) next(most int, now time.Time) (Task, bool) {
	room := l.pause.room(most, now)
	if len(l.running) >= room {
		return Task{}, false
	}
	elsewhere := func(t Task) bool { return !l.inTheWay(t) && t.Repository != l.pause.repository }
	anywhere := func(t Task) bool { return !l.inTheWay(t) }
	if l.pause.failures >= patience {
		if t, ok := l.turn(most, now, elsewhere); ok {
			return t, true
		}
	}
	return l.turn(most, now, anywhere)
}

func (l *lane) turn(most int, now time.Time, fits func(Task) bool) (Task, bool) {
	for i := range origins {
		from := (l.last + 1 + i) % origins
		if from == retried && l.retrying() >= max(1, most/2) {
			continue
		}
		for {
			t, ok := l.queue.take(from, fits)
			if !ok {
				break
			}
			if !l.letters.keeps(t, now) {
				l.last = from
				return t, true
			}
		}
	}
	return Task{}, false
}

func (l *lane) retrying() (n int) {
	for key := range l.running {
		if l.letters[key] != nil {
			n++
		}
	}
	return n
}

func (l *lane) begin(t Task) {
	l.running[t.key()] = t
	for _, e := range t.Entries {
		l.writing[e.Reference] = true
	}
}

func (l *lane) end(t Task) {
	delete(l.running, t.key())
	for _, e := range t.Entries {
		delete(l.writing, e.Reference)
	}
}

// put keeps what is to be done, unless it is being done, or waits for its letter to be due.
func (l *lane) put(t Task, from origin, now time.Time) {
	if l.letters.keeps(t, now) || l.covers(t) {
		return
	}
	if l.letters[t.key()] != nil {
		from = retried
	}
	if !l.queue.put(t, from) {
		l.more = true
	}
	l.dirty = true
}

// failed takes note of what went wrong.
func (l *lane) failed(t Task, err error, now time.Time, random float64) {
	have := l.letters.failed(t, err, transfer.Unsupported(err), now)
	if have == nil || have.Tries == 1 && ofAll(err, l.name) {
		l.pause.failed(t.Repository, have != nil, now, random)
	}
	if have != nil && l.pause.failures >= patience && transfer.Refused(err) && !errors.Is(err, errLetIn) {
		have.Dead = false // it says nothing about the task, and nobody should have to retry what a new password mends
	}
	if have != nil && !have.Dead && have.Next.Before(l.due) {
		l.due = have.Next
	}
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

// covers: what is under way comes to the same. Word of a tag may come after that of the digest that was pushed with it.
func (l *lane) covers(t Task) bool {
	other, runs := l.running[t.key()]
	return runs && !slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool {
		return !slices.ContainsFunc(other.Entries, func(o ledger.Entry) bool { return o.Reference == e.Reference && e.Stamp.Compare(o.Stamp) <= 0 })
	})
}

// inTheWay: what is under way writes the same name. In which order a replica takes what is sent at once nobody knows.
func (l *lane) inTheWay(t Task) bool {
	_, runs := l.running[t.key()]
	return runs || slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool { return l.writing[e.Reference] })
}

// pageSize is how many entries are read from the ledger in one go.
const pageSize = 1000

// scanAll finds in the ledger what the lane's replica lacks, and queues what comes first of it.
func (e *Engine) scanAll(l *lane, fleet Fleet, now time.Time) {
	l.scan = now
	e.mu.Lock()
	l.dirty = false
	e.mu.Unlock()
	var entries []ledger.Entry
	pending, more := 0, false
	for after := ledger.Cursor(""); ; {
		page, next, err := e.Ledger.Pending(l.name, after, pageSize)
		if err != nil {
			e.Log.Warn("the ledger cannot be read", "error", err)
			e.mu.Lock()
			l.dirty = true
			e.mu.Unlock()
			return
		}
		page = slices.DeleteFunc(page, func(e ledger.Entry) bool { return fleet.leftOut(e, l.name) })
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
	tasks := Plan(entries, l.name, fleet)
	e.forget(l)
	l.more = more
	e.mu.Lock()
	defer e.mu.Unlock()
	l.queue, l.scanned, l.pending = queue{}, true, pending
	for _, t := range tasks {
		l.put(t, found, now)
	}
	l.dirty = l.dirty || l.queue.len() > 0
	e.gauges(l)
}

// first are those that Plan has done first.
func first(entries []ledger.Entry) []ledger.Entry {
	slices.SortFunc(entries, func(a, b ledger.Entry) int { return order(single(a), single(b)) })
	return slices.Clone(entries[:maxQueue])
}

func single(e ledger.Entry) Task {
	t := Task{Action: Copy, Repository: e.Repository, Entries: []ledger.Entry{e}}
	if e.Deleted {
		t.Action = Delete
	}
	return t
}

func (e *Engine) startable(tasks []Task, l *lane, now time.Time) []Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(tasks, func(t Task) bool { return l.letters.blocks(t, now) || l.covers(t) })
}

// forget lets go of letters whose task is done otherwise, or was overtaken.
func (e *Engine) forget(l *lane) {
	e.mu.Lock()
	var tasks []Task
	for _, have := range l.letters {
		tasks = append(tasks, have.Task)
	}
	e.mu.Unlock()
	for _, t := range tasks {
		if slices.ContainsFunc(t.Entries, func(entry ledger.Entry) bool { return e.wanted(entry, t) }) {
			continue
		}
		e.mu.Lock()
		delete(l.letters, t.key())
		e.mu.Unlock()
	}
}

// wanted: the entry is the last word, and the task's replica has not confirmed it, or is to have it again. In doubt it is.
func (e *Engine) wanted(entry ledger.Entry, t Task) bool {
	now, known, err := e.Ledger.Get(entry.Reference)
	return err != nil || known && now.Stamp == entry.Stamp && (t.Again || !slices.Contains(now.Confirmed, t.Target))
}
