package replication

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Bounds of the engine.
const (
	tick           = time.Minute // between scans of the ledger, which find what no news told of
	idleTick       = 10 * tick   // the same, where nothing has happened
	notCurrentTick = time.Second // until the ledger is looked at again that is not current
	maxIncoming    = 4096        // entries between two rounds; of more the ledger is scanned
	maxEarlyBlobs  = 1024        // blobs that are copied before their manifests, or wait to be
)

// Options are what the engine works with.
type Options struct {
	Ledger         Ledger
	Fleet          func() Fleet
	Reach          func(replica string) transfer.Replica  // with a transport that logs in
	Concurrency    int                                    // images, and blobs, at a time to one replica
	BytesPerSecond int64                                  // to one replica; 0: no bound
	Moved          func(source, target string, bytes int) // of bodies that a source sent for a target; nil: nobody counts
	Surveyed       func(replica string) bool              // what was there before the ledger is in it; nil: of all
	Writes         *transfer.Writes                       // of all who write to replicas in our name; nil: nobody else does
	UnseenDeletes  bool                                   // others delete without our ledger hearing of it
	Current        func() bool                            // the ledger knows what all others know; nil: always. Else nothing is begun
	Metrics        prometheus.Registerer
	Log            *slog.Logger
}

// Engine brings what was pushed to every replica that it serves.
type Engine struct {
	// Static after New.
	Options
	metrics      *metrics
	wake         chan struct{} // holds one
	earlyBlobs   chan struct{} // one for each blob that is copied before its manifest
	recentWrites *lru.Cache[taskKey, hlc.Stamp]

	recheckDelay    time.Duration
	delayedRechecks atomic.Int64 // names that are looked at after a while

	mu         sync.Mutex
	workers    map[string]*worker   // Guarded by mu; by replica.
	meters     map[string]*meter    // Guarded by mu; by replica.
	incoming   []ledger.Entry       // Guarded by mu. At most maxNews.
	overflowed bool                 // Guarded by mu: there was more news than that.
	blobs      *blobs               // Guarded by mu; nil while it does not run.
	taskEnded  chan struct{}        // Guarded by mu; closed when a task has ended.
	running    sync.WaitGroup       // incremented by Run, and under mu while blobs is there
	rechecks   map[string]*rechecks // Guarded by mu; by replica.

	listings map[string]listing // Guarded by mu; by replica.
}

// New makes an engine, which Run starts.
func New(o Options) *Engine {
	written, err := lru.New[taskKey, hlc.Stamp](maxRecentWrites)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	if o.Writes == nil {
		o.Writes = &transfer.Writes{}
	}
	return &Engine{
		Options: o, metrics: newMetrics(o.Metrics), wake: make(chan struct{}, 1), earlyBlobs: make(chan struct{}, maxEarlyBlobs),
		workers: map[string]*worker{}, meters: map[string]*meter{}, taskEnded: make(chan struct{}),
		recentWrites: written, rechecks: map[string]*rechecks{}, listings: map[string]listing{}, recheckDelay: recheckDelay,
	}
}

// Run works until ctx ends, and then until all that was under way has ended.
func (e *Engine) Run(ctx context.Context) {
	b := newBlobs(ctx, e)
	e.mu.Lock()
	e.blobs = b
	e.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			e.mu.Lock()
			e.blobs = nil
			e.mu.Unlock()
			e.running.Wait()
			b.all.Wait()
			return
		case <-timer.C:
		case <-e.wake:
		}
		timer.Reset(e.runRound(ctx, b))
	}
}

// News tells of entries that were recorded, here or elsewhere; without any, that the fleet has changed. It never waits.
func (e *Engine) Enqueue(entries ...ledger.Entry) {
	e.mu.Lock()
	if len(e.incoming)+len(entries) > maxIncoming {
		e.overflowed = true
	} else {
		e.incoming = append(e.incoming, entries...)
	}
	e.mu.Unlock()
	e.signal()
}

// Committed tells of a blob, whose manifest may yet be far: it is copied at once. It waits for mu alone, which nobody
// holds while he reads, writes or asks; the longest is a full queue that is put in order.
func (e *Engine) Committed(b Blob) {
	e.mu.Lock()
	over := e.blobs
	e.mu.Unlock()
	if over == nil || !e.current() {
		return
	}
	for _, target := range planBlob(b, e.Fleet()) {
		e.mu.Lock()
		if e.blobs == nil { // it is stopping
			e.mu.Unlock()
			return
		}
		select {
		case e.earlyBlobs <- struct{}{}:
			e.running.Go(func() {
				defer func() { <-e.earlyBlobs }()
				err := over.ensure(over.ctx, blobKey{target, b.Repository, b.Digest}, 0, []string{b.Replica})
				if err != nil {
					e.Log.Debug("a blob comes with its manifest", "replica", target, "repository", b.Repository, "digest", b.Digest, "error", err)
				}
			})
		default:
			e.metrics.late.Inc()
		}
		e.mu.Unlock()
	}
}

func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) current() bool { return e.Current == nil || e.Current() }

// round starts what can be started, and returns after how long there is more to do unless news comes.
func (e *Engine) runRound(ctx context.Context, b *blobs) time.Duration {
	if !e.current() {
		return notCurrentTick
	}
	fleet, now := e.Fleet(), time.Now()
	e.mu.Lock()
	news, missed := e.incoming, e.overflowed
	e.incoming, e.overflowed = nil, false
	e.mu.Unlock()
	served := fleet.Served()
	e.dropUnserved(served)
	wait := tick
	for _, name := range served {
		e.mu.Lock()
		w := e.worker(name)
		e.mu.Unlock()
		e.enqueueTasks(w, plan(news, name, fleet), now)
		scan := e.scanDue(w, fleet, len(news) > 0, missed, now)
		if scan {
			e.scan(w, fleet, now)
		}
		e.startRechecks(ctx, name, news, scan)
		if fleet.target(name) != nil {
			e.enqueueRetries(w, fleet, now)
			wait = min(wait, e.startTasks(ctx, b, w, now))
		}
	}
	for _, r := range fleet.Replicas { // that others serve: we may have written there for a client's push
		if r.readable() && !slices.Contains(served, r.Name) {
			e.startRechecks(ctx, r.Name, news, missed)
		}
	}
	return wait
}

// drop forgets replicas that somebody else serves now, as soon as nothing is under way there.
func (e *Engine) dropUnserved(served []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, w := range e.workers {
		if slices.Contains(served, name) {
			continue
		}
		w.queue, w.failures, w.scanned, w.lastScan = queue{}, failures{}, false, time.Time{}
		e.metrics.pending.DeleteLabelValues(name)
		e.metrics.givenUp.DeleteLabelValues(name)
		if len(w.running) == 0 {
			delete(e.workers, name)
		}
	}
}

// lane is called with mu.
func (e *Engine) worker(name string) *worker {
	if e.workers[name] == nil {
		e.workers[name] = newWorker(name)
	}
	return e.workers[name]
}

func (e *Engine) enqueueTasks(w *worker, tasks []Task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tasks {
		w.enqueue(t, told, now)
	}
}

func (e *Engine) scanDue(w *worker, fleet Fleet, news, missed bool, now time.Time) bool {
	changed := w.readableChanged(fleet)
	e.mu.Lock()
	defer e.mu.Unlock()
	if changed {
		w.breaker.until = now
	}
	w.dirty = w.dirty || news // nothing may have come of it yet, or somebody else may have brought what is pending
	return missed || changed || w.scanOverdue(now) || w.moreInLedger && w.queue.len() == 0
}

// retry puts what has failed and is due where it is taken from, once, with what the ledger says of it now: its sources may be
// others.
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
		fresh := e.currentEntries(t)
		if len(fresh) == 0 {
			e.mu.Lock()
			delete(w.failures, t.key())
			e.mu.Unlock()
		}
		entries = append(entries, fresh...)
	}
	e.enqueueTasks(w, plan(entries, w.name, fleet), now)
}

// fresh are the entries of a task that are still to be done, as the ledger has them now.
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

// start takes from the queue as long as there is room, and returns after how long there is more to do for time alone.
func (e *Engine) startTasks(ctx context.Context, b *blobs, w *worker, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil {
		t, ok := w.next(e.Concurrency, now)
		if !ok {
			break
		}
		w.begin(t)
		e.running.Go(func() {
			err := e.do(ctx, b, t)
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
	e.metrics.tasks.WithLabelValues(t.Target, string(t.Action), result(err)).Inc()
	if err != nil {
		e.Log.Warn("replication failed", "replica", t.Target, "action", t.Action, "repository", t.Repository, "digest", t.Digest, "error", err)
	}
	e.signal()
}

// leave is called with mu.
func (e *Engine) endTask(w *worker, t Task) {
	w.end(t)
	w.dirty = true
	close(e.taskEnded)
	e.taskEnded = make(chan struct{})
}

// gauges is called with mu.
func (e *Engine) setGauges(w *worker) {
	e.metrics.pending.WithLabelValues(w.name).Set(float64(w.pending + len(e.rechecksOf(w.name).lacking)))
	e.metrics.givenUp.WithLabelValues(w.name).Set(float64(w.failures.countGivenUp()))
}
