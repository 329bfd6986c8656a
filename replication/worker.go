package replication

import (
	"errors"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// lane is what one replica is to get.
type worker struct {
	name string // Static.

	// Of Run's goroutine alone.
	moreInLedger bool      // the ledger has more than the queue
	lastScan     time.Time // the last
	readable     []string  // replicas that could be read from, the last time
	lastOrigin   origin    // of what began

	// Guarded by the engine's mu.
	queue     queue
	running   map[taskKey]Task
	writing   map[ledger.Reference]bool // what the running ones write
	failures  failures
	nextRetry time.Time // when the first letter may be; not before this anybody looks
	breaker   breaker
	dirty     bool // something has happened since the last scan, so that another may find something else
	scanned   bool
	pending   int   // entries
	doneTasks int64 // tasks
}

func newWorker(name string) *worker {
	return &worker{name: name, running: map[taskKey]Task{}, writing: map[ledger.Reference]bool{}, failures: failures{}}
}

// overdue: a scan reads all that the replica lacks, also what filters leave out and what has no source, so it is not made
// every minute where nothing happens.
func (w *worker) scanOverdue(now time.Time) bool {
	since := now.Sub(w.lastScan)
	return since >= idleTick || w.dirty && since >= tick
}

// next is what begins now, if there is room. What was told, found and retried takes turns, and retries have half of the room at most:
// they may take long to fail.
func (w *worker) next(most int, now time.Time) (Task, bool) {
	room := w.breaker.limit(most, now)
	if len(w.running) >= room {
		return Task{}, false
	}
	elsewhere := func(t Task) bool { return !w.conflicts(t) && t.Repository != w.breaker.repository }
	anywhere := func(t Task) bool { return !w.conflicts(t) }
	if w.breaker.failures >= breakAfter {
		if t, ok := w.takeInTurn(most, now, elsewhere); ok {
			return t, true
		}
	}
	return w.takeInTurn(most, now, anywhere)
}

func (w *worker) takeInTurn(most int, now time.Time, fits func(Task) bool) (Task, bool) {
	for i := range origins {
		from := (w.lastOrigin + 1 + i) % origins
		if from == retried && w.countRetries() >= max(1, most/2) {
			continue
		}
		for {
			t, ok := w.queue.take(from, fits)
			if !ok {
				break
			}
			if !w.failures.mergeIfBlocked(t, now) {
				w.lastOrigin = from
				return t, true
			}
		}
	}
	return Task{}, false
}

func (w *worker) countRetries() (n int) {
	for key := range w.running {
		if w.failures[key] != nil {
			n++
		}
	}
	return n
}

func (w *worker) begin(t Task) {
	w.running[t.key()] = t
	for _, e := range t.Entries {
		w.writing[e.Reference] = true
	}
}

func (w *worker) end(t Task) {
	delete(w.running, t.key())
	for _, e := range t.Entries {
		delete(w.writing, e.Reference)
	}
}

// put keeps what is to be done, unless it is being done, or waits for its letter to be due.
func (w *worker) enqueue(t Task, from origin, now time.Time) {
	if w.failures.mergeIfBlocked(t, now) || w.supersedes(t) {
		return
	}
	if w.failures[t.key()] != nil {
		from = retried
	}
	if !w.queue.push(t, from) {
		w.moreInLedger = true
	}
	w.dirty = true
}

// failed takes note of what went wrong.
func (w *worker) noteFailure(t Task, err error, now time.Time, random float64) {
	have := w.failures.note(t, err, transfer.Unsupported(err), now)
	if have == nil || have.Tries == 1 && blamesReplica(err, w.name) {
		w.breaker.noteFailure(t.Repository, have != nil, now, random)
	}
	if have != nil && w.breaker.failures >= breakAfter && transfer.Refused(err) && !errors.Is(err, errLetIn) {
		have.GivenUp = false // it says nothing about the task, and nobody should have to retry what a new password mends
	}
	if have != nil && !have.GivenUp && have.Next.Before(w.nextRetry) {
		w.nextRetry = have.Next
	}
}

// changed: other replicas are up than before, so that something may be done that could not be.
func (w *worker) readableChanged(fleet Fleet) bool {
	var up []string
	for _, r := range fleet.Replicas {
		if r.readable() {
			up = append(up, r.Name)
		}
	}
	was := w.readable
	w.readable = up
	return !slices.Equal(was, up)
}

// covers: what is under way comes to the same. Word of a tag may come after that of the digest that was pushed with it.
func (w *worker) supersedes(t Task) bool {
	other, runs := w.running[t.key()]
	return runs && !slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool {
		return !slices.ContainsFunc(other.Entries, func(o ledger.Entry) bool { return o.Reference == e.Reference && e.Stamp.Compare(o.Stamp) <= 0 })
	})
}

// inTheWay: what is under way writes the same name. In which order a replica takes what is sent at once nobody knows.
func (w *worker) conflicts(t Task) bool {
	_, runs := w.running[t.key()]
	return runs || slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool { return w.writing[e.Reference] })
}

// pageSize is how many entries are read from the ledger in one go.
const pageSize = 1000

// scanAll finds in the ledger what the lane's replica lacks, and queues what comes first of it.
func (e *Engine) scan(w *worker, fleet Fleet, now time.Time) {
	w.lastScan = now
	e.mu.Lock()
	w.dirty = false
	e.mu.Unlock()
	var entries []ledger.Entry
	pending, more := 0, false
	for after := ledger.Cursor(""); ; {
		page, next, err := e.Ledger.Pending(w.name, after, pageSize)
		if err != nil {
			e.Log.Warn("the ledger cannot be read", "error", err)
			e.mu.Lock()
			w.dirty = true
			e.mu.Unlock()
			return
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
	tasks := plan(entries, w.name, fleet)
	e.dropObsoleteFailures(w)
	w.moreInLedger = more
	e.mu.Lock()
	defer e.mu.Unlock()
	w.queue, w.scanned, w.pending = queue{}, true, pending
	for _, t := range tasks {
		w.enqueue(t, found, now)
	}
	w.dirty = w.dirty || w.queue.len() > 0
	e.setGauges(w)
}

// first are those that Plan has done first.
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

// forget lets go of letters whose task is done otherwise, or was overtaken.
func (e *Engine) dropObsoleteFailures(w *worker) {
	e.mu.Lock()
	var tasks []Task
	for _, have := range w.failures {
		tasks = append(tasks, have.Task)
	}
	e.mu.Unlock()
	for _, t := range tasks {
		if slices.ContainsFunc(t.Entries, func(entry ledger.Entry) bool { return e.wanted(entry, t) }) {
			continue
		}
		e.mu.Lock()
		delete(w.failures, t.key())
		e.mu.Unlock()
	}
}

// wanted: the entry is the last word, and the task's replica has not confirmed it, or is to have it again. In doubt it is.
func (e *Engine) wanted(entry ledger.Entry, t Task) bool {
	now, known, err := e.Ledger.Get(entry.Reference)
	return err != nil || known && now.Stamp == entry.Stamp && (t.Force || !slices.Contains(now.Confirmed, t.Target))
}
