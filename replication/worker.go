package replication

import (
	"errors"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// worker holds what one replica is to get: the queue, the running tasks, the failures and the circuit breaker.
type worker struct {
	name string // Static.

	// Of Run's goroutine alone.
	moreInLedger bool // the ledger has more than the queue
	lastScan     time.Time
	readable     []string // replicas that could be read from at the last round
	surveyed     bool     // at the last round
	lastOrigin   origin   // of the last task that began

	// Guarded by the engine's mu.
	queue      queue
	running    map[taskKey]Task
	writing    map[ledger.Reference]bool // what the running tasks write
	failures   failures
	nextRetry  time.Time // no failure is due before
	breaker    breaker
	dirty      bool // something has happened since the last scan, so that another may find something else
	scanned    bool // once at least
	complete   bool // the last scan began when the replica had been surveyed: it has found all that the replica lacks
	refiltered bool // filters have changed since the last scan began
	pending    int  // entries that the replica has not confirmed
	doneTasks  int64
}

func newWorker(name string) *worker {
	return &worker{name: name, running: map[taskKey]Task{}, writing: map[ledger.Reference]bool{}, failures: failures{}}
}

// scanOverdue reports whether it is time for a scan. A scan reads all that the replica lacks, even what filters leave
// out and what has no source; so it is rare where nothing happens.
func (w *worker) scanOverdue(now time.Time) bool {
	since := now.Sub(w.lastScan)
	return since >= idleTick || w.dirty && since >= tick
}

// next takes the task that begins now, if there is room for one.
func (w *worker) next(most int, now time.Time) (Task, bool) {
	if len(w.running) >= w.breaker.limit(most, now) {
		return Task{}, false
	}
	elsewhere := func(t Task) bool { return !w.conflicts(t) && t.Repository != w.breaker.repository }
	anywhere := func(t Task) bool { return !w.conflicts(t) }
	if w.breaker.tripped() {
		if t, ok := w.takeInTurn(most, now, elsewhere); ok {
			return t, true
		}
	}
	return w.takeInTurn(most, now, anywhere)
}

// takeInTurn takes a task of the next origin that has one that fits. Retries take half of the room at most: they may
// take long to fail.
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

// enqueue queues a task, unless a running one supersedes it or its last failure is not yet due.
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

// noteFailure remembers a task that failed, and counts it for the breaker if the replica is to blame.
func (w *worker) noteFailure(t Task, err error, now time.Time, random float64) {
	have := w.failures.note(t, err, transfer.Unsupported(err), now)
	if have == nil || have.Tries == 1 && blamesReplica(err, w.name) {
		w.breaker.noteFailure(t.Repository, have != nil, now, random)
	}
	if have != nil && w.breaker.tripped() && transfer.Refused(err) && !errors.Is(err, errLetIn) {
		have.GivenUp = false // the task is not to blame, and a new password should be enough
	}
	if have != nil && !have.GivenUp && have.Next.Before(w.nextRetry) {
		w.nextRetry = have.Next
	}
}

// readableChanged reports whether other replicas can be read from than at the last round: tasks may have sources now.
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

// justSurveyed reports whether the replica has been surveyed since the last round: a scan from before that may not have
// found all that it lacks.
func (w *worker) justSurveyed(surveyed bool) bool {
	was := w.surveyed
	w.surveyed = surveyed
	return surveyed && !was
}

// supersedes reports whether a running task writes all that t would. A tag's entry may come after that of its digest,
// of one push.
func (w *worker) supersedes(t Task) bool {
	other, runs := w.running[t.key()]
	return runs && !slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool {
		return !slices.ContainsFunc(other.Entries, func(o ledger.Entry) bool {
			return o.Reference == e.Reference && e.Stamp.Compare(o.Stamp) <= 0
		})
	})
}

// conflicts reports whether a running task writes a name that t writes: a replica may take two writes in either order.
func (w *worker) conflicts(t Task) bool {
	_, runs := w.running[t.key()]
	return runs || slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool { return w.writing[e.Reference] })
}
