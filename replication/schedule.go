package replication

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

func (e *Engine) enqueueTasks(w *worker, tasks []Task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tasks {
		w.enqueue(t, told, now)
	}
}

// enqueueRetries queues the failures that are due, with what the ledger says of them now: their sources may be others.
func (e *Engine) enqueueRetries(w *worker, fleet Fleet, now time.Time) {
	e.mu.Lock()
	if now.Before(w.nextRetry) {
		e.mu.Unlock()
		return
	}
	var tasks []Task
	tasks, w.nextRetry = w.failures.due(now)
	tasks = slices.DeleteFunc(tasks, func(t Task) bool {
		_, runs := w.running[t.key()]
		return runs || w.queue.has(t.key())
	})
	e.mu.Unlock()
	var entries []ledger.Entry
	for _, t := range tasks {
		current := e.currentEntries(t)
		if len(current) == 0 {
			e.mu.Lock()
			delete(w.failures, t.key())
			e.mu.Unlock()
		}
		entries = append(entries, current...)
	}
	e.enqueueTasks(w, plan(entries, w.name, fleet), now)
}

// currentEntries are the entries of a task that are still to be done, as the ledger has them now.
func (e *Engine) currentEntries(t Task) (entries []ledger.Entry) {
	for _, entry := range t.Entries {
		now, known, err := e.Ledger.Get(entry.Reference)
		switch {
		case err != nil:
			entries = append(entries, entry)
		case known && now.Stamp == entry.Stamp && !slices.Contains(now.Confirmed, t.Target):
			entries = append(entries, now)
		}
	}
	return entries
}

// startTasks takes tasks from the queue while there is room, and returns how long to wait for the next that is due.
func (e *Engine) startTasks(ctx context.Context, b *blobs, w *worker, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil {
		t, ok := w.next(e.settings.Load().Concurrency, now)
		if !ok {
			break
		}
		w.begin(t)
		e.running.Go(func() {
			err := e.execute(ctx, b, t)
			e.finishTask(ctx, w, t, err)
		})
	}
	wait := max(w.nextRetry.Sub(now), 0)
	if w.queue.len() > 0 && now.Before(w.breaker.until) {
		wait = min(wait, w.breaker.until.Sub(now))
	}
	return wait
}

func (e *Engine) finishTask(ctx context.Context, w *worker, t Task, err error) {
	e.mu.Lock()
	e.endTask(w, t)
	switch {
	case err == nil:
		delete(w.failures, t.key())
		w.breaker = breaker{}
		w.doneTasks++
		w.pending = max(0, w.pending-len(t.Entries))
	case ctx.Err() == nil:
		w.noteFailure(t, err, time.Now(), rand.Float64()) //nolint:gosec // jitter is no secret
	}
	e.setGauges(w)
	e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	e.countTask(t, err)
	if err != nil {
		e.Log.Warn("replication failed; `fairlead replication failures` shows whether and when it is tried again",
			"replica", t.Target, "action", t.Action, "repository", t.Repository, "digest", t.Digest, "error", err)
	}
	e.Wake()
}

// endTask is called with mu.
func (e *Engine) endTask(w *worker, t Task) {
	w.end(t)
	w.dirty = true
	close(e.taskEnded)
	e.taskEnded = make(chan struct{})
}

// setGauges is called with mu.
func (e *Engine) setGauges(w *worker) {
	if e.workers[w.name] != w { // it has ended after its replica
		return
	}
	e.metrics.pending.WithLabelValues(w.name).Set(float64(w.pending + len(e.rechecksOf(w.name).lacking)))
	e.metrics.givenUp.WithLabelValues(w.name).Set(float64(w.failures.countGivenUp()))
}
