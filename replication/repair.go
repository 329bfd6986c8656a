package replication

import (
	"context"
	"errors"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
)

var (
	errStopped = errors.New("replication does not run")
	errNotMine = errors.New("another gateway serves the replica, it takes no writes, or nobody who is up has it")
)

// Repair brings a replica what an entry says, or deletes it there, also if the replica has confirmed it: somebody has looked,
// and it is not so. It returns when that is done. What is no longer the last word is left alone.
func (e *Engine) Repair(ctx context.Context, entry ledger.Entry, target string) error {
	fleet := e.Fleet()
	again := slices.Contains(entry.Confirmed, target)
	without := entry
	without.Confirmed = slices.DeleteFunc(slices.Clone(entry.Confirmed), func(name string) bool {
		return fleet.sameStorage(fleet.replica(name), fleet.replica(target)) // they lack it all the same
	})
	tasks := plan([]ledger.Entry{without}, target, fleet)
	if len(tasks) == 0 {
		return errNotMine
	}
	t := tasks[0]
	t.Force = again
	return e.executeNow(ctx, t)
}

// redo does what a task says and returns when that is done.
func (e *Engine) executeNow(ctx context.Context, t Task) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b, leave, err := e.waitTurn(ctx, t)
	if err != nil {
		return err
	}
	defer leave()
	defer context.AfterFunc(b.ctx, func() { cancel(errStopped) })()
	err = e.do(ctx, b, t)
	e.metrics.tasks.WithLabelValues(t.Target, string(t.Action), result(err)).Inc()
	return err
}

// enter waits for what is under way with the same names.
func (e *Engine) waitTurn(ctx context.Context, t Task) (b *blobs, leave func(), err error) {
	var w *worker
	for {
		e.mu.Lock()
		if e.blobs == nil {
			e.mu.Unlock()
			return nil, nil, errStopped
		}
		if w = e.worker(t.Target); !w.conflicts(t) {
			break
		}
		freed := e.taskEnded
		e.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	defer e.mu.Unlock()
	w.begin(t)
	e.running.Add(1)
	return e.blobs, func() {
		e.mu.Lock()
		e.endTask(w, t)
		e.mu.Unlock()
		e.signal()
		e.running.Done()
	}, nil
}
