package replication

import (
	"cmp"
	"context"
	"errors"
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

// errReplaced ends what was begun at a registry that is another one by now, or that the fleet has no more.
var errReplaced = errors.New("the replica is another registry than when this was begun")

// life is the time in which a replica is one registry.
type life struct {
	holder string
	over   chan struct{} // closed with it
}

// Update has the engine go by other settings. What runs goes on. No replica is Ready by what a scan with other filters
// has found.
func (e *Engine) Update(s Settings) {
	was := e.settings.Swap(&s)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.meters {
		m.update(s.BytesPerSecond)
	}
	if s.Filters != was.Filters {
		for _, w := range e.workers {
			w.complete, w.refiltered = false, true
		}
	}
	e.Wake()
}

// holder is what confirmations name of a replica.
func (e *Engine) holder(replica string) string {
	if r := e.Gateway.Fleet().replica(replica); r != nil {
		return cmp.Or(r.Holder, replica)
	}
	return replica
}

// during is a context that ends with the registry that the replica is now.
func (e *Engine) during(ctx context.Context, replica string) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	l := e.lives[replica]
	e.mu.Unlock()
	if l == nil { // no round has seen it
		return ctx, func() { cancel(nil) }
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-l.over:
			cancel(errReplaced)
		case <-done:
		}
	}()
	return ctx, func() { close(done); cancel(nil) }
}

// dropGone forgets what is known of registries that the fleet has no more: their replicas are gone, or are others by
// now. What was begun there ends.
func (e *Engine) dropGone(fleet Fleet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range fleet.Replicas {
		if e.lives[r.Name] == nil {
			e.lives[r.Name] = &life{r.Holder, make(chan struct{})}
		}
	}
	for name, l := range maps.Clone(e.lives) {
		r := fleet.replica(name)
		if r != nil && r.Holder == l.holder {
			continue
		}
		close(l.over)
		delete(e.lives, name)
		e.forget(name)
		if r != nil {
			e.lives[name] = &life{r.Holder, make(chan struct{})}
			continue
		}
		delete(e.meters, name)
		for _, of := range []*prometheus.MetricVec{e.metrics.tasks.MetricVec, e.metrics.bytes.MetricVec,
			e.metrics.pending.MetricVec, e.metrics.givenUp.MetricVec} {
			of.DeletePartialMatch(prometheus.Labels{"replica": name})
		}
	}
}

// forget is called with mu. Tasks that run end by themselves: their worker is nobody's any more.
func (e *Engine) forget(replica string) {
	delete(e.workers, replica)
	delete(e.rechecks, replica)
	delete(e.catalogs, replica)
	for _, key := range e.recentWrites.Keys() {
		if key.target == replica {
			e.recentWrites.Remove(key)
		}
	}
	if e.blobs != nil {
		e.blobs.forget(replica)
	}
}

// forget is called with the engine's mu. Nobody joins a copy to the registry that was: its success says nothing of the
// one that is.
func (b *blobs) forget(replica string) {
	for _, key := range b.seen.Keys() {
		if key.replica == replica {
			b.seen.Remove(key)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.slots, replica)
	maps.DeleteFunc(b.jobs, func(key blobKey, _ *blobJob) bool { return key.target == replica })
}

// gone is called with mu. Before the first round nothing is.
func (e *Engine) gone(replica string) bool { return len(e.lives) > 0 && e.lives[replica] == nil }

// countTask leaves replicas out that are gone: nobody would take their series away again.
func (e *Engine) countTask(t Task, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.gone(t.Target) {
		e.metrics.tasks.WithLabelValues(t.Target, string(t.Action), result(err)).Inc()
	}
}
