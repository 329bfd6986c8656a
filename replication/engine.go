// Package replication brings what was pushed to one replica to every other, and takes from them what was deleted: nobody sees
// an image anywhere that is not whole there.
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
	tick       = time.Minute // between scans of the ledger, which find what no news told of
	idleTick   = 10 * tick   // the same, where nothing has happened
	behindTick = time.Second // until the ledger is looked at again that is not current
	maxNews    = 4096        // entries between two rounds; of more the ledger is scanned
	maxEarly   = 1024        // blobs that are copied before their manifests, or wait to be
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
	Unheard        bool                                   // others delete without our ledger hearing of it
	Current        func() bool                            // the ledger knows what all others know; nil: always. Else nothing is begun
	Metrics        prometheus.Registerer
	Log            *slog.Logger
}

// Engine brings what was pushed to every replica that it serves.
type Engine struct {
	// Static after New.
	Options
	metrics *metrics
	wake    chan struct{} // holds one
	early   chan struct{} // one for each blob that is copied before its manifest
	lately  *lru.Cache[taskKey, hlc.Stamp]

	lookAgain  time.Duration
	laterLooks atomic.Int64 // names that are looked at after a while

	mu     sync.Mutex
	lanes  map[string]*lane   // Guarded by mu; by replica.
	meters map[string]*meter  // Guarded by mu; by replica.
	news   []ledger.Entry     // Guarded by mu. At most maxNews.
	missed bool               // Guarded by mu: there was more news than that.
	blobs  *blobs             // Guarded by mu; nil while it does not run.
	freed  chan struct{}      // Guarded by mu; closed when a task has ended.
	all    sync.WaitGroup     // incremented by Run, and under mu while blobs is there
	doubts map[string]*doubts // Guarded by mu; by replica.

	listings map[string]listing // Guarded by mu; by replica.
}

// New makes an engine, which Run starts.
func New(o Options) *Engine {
	written, err := lru.New[taskKey, hlc.Stamp](maxLately)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	if o.Writes == nil {
		o.Writes = &transfer.Writes{}
	}
	return &Engine{
		Options: o, metrics: newMetrics(o.Metrics), wake: make(chan struct{}, 1), early: make(chan struct{}, maxEarly),
		lanes: map[string]*lane{}, meters: map[string]*meter{}, freed: make(chan struct{}),
		lately: written, doubts: map[string]*doubts{}, listings: map[string]listing{}, lookAgain: lookAgain,
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
			e.all.Wait()
			b.all.Wait()
			return
		case <-timer.C:
		case <-e.wake:
		}
		timer.Reset(e.round(ctx, b))
	}
}

// News tells of entries that were recorded, here or elsewhere; without any, that the fleet has changed. It never waits.
func (e *Engine) News(entries ...ledger.Entry) {
	e.mu.Lock()
	if len(e.news)+len(entries) > maxNews {
		e.missed = true
	} else {
		e.news = append(e.news, entries...)
	}
	e.mu.Unlock()
	e.rouse()
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
	for _, target := range PlanBlob(b, e.Fleet()) {
		e.mu.Lock()
		if e.blobs == nil { // it is stopping
			e.mu.Unlock()
			return
		}
		select {
		case e.early <- struct{}{}:
			e.all.Go(func() {
				defer func() { <-e.early }()
				err := over.bring(over.ctx, blobKey{target, b.Repository, b.Digest}, 0, []string{b.Replica})
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

func (e *Engine) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) current() bool { return e.Current == nil || e.Current() }

// round starts what can be started, and returns after how long there is more to do unless news comes.
func (e *Engine) round(ctx context.Context, b *blobs) time.Duration {
	if !e.current() {
		return behindTick
	}
	fleet, now := e.Fleet(), time.Now()
	e.mu.Lock()
	news, missed := e.news, e.missed
	e.news, e.missed = nil, false
	e.mu.Unlock()
	served := fleet.Served()
	e.drop(served)
	wait := tick
	for _, name := range served {
		e.mu.Lock()
		l := e.lane(name)
		e.mu.Unlock()
		e.enqueue(l, Plan(news, name, fleet), now)
		scan := e.toScan(l, fleet, len(news) > 0, missed, now)
		if scan {
			e.scanAll(l, fleet, now)
		}
		e.review(ctx, name, news, scan)
		if fleet.target(name) != nil {
			e.retry(l, fleet, now)
			wait = min(wait, e.start(ctx, b, l, now))
		}
	}
	for _, r := range fleet.Replicas { // that others serve: we may have written there for a client's push
		if r.readable() && !slices.Contains(served, r.Name) {
			e.review(ctx, r.Name, news, missed)
		}
	}
	return wait
}

// drop forgets replicas that somebody else serves now, as soon as nothing is under way there.
func (e *Engine) drop(served []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, l := range e.lanes {
		if slices.Contains(served, name) {
			continue
		}
		l.queue, l.letters, l.scanned, l.scan = queue{}, letters{}, false, time.Time{}
		e.metrics.pending.DeleteLabelValues(name)
		e.metrics.dead.DeleteLabelValues(name)
		if len(l.running) == 0 {
			delete(e.lanes, name)
		}
	}
}

// lane is called with mu.
func (e *Engine) lane(name string) *lane {
	if e.lanes[name] == nil {
		e.lanes[name] = newLane(name)
	}
	return e.lanes[name]
}

func (e *Engine) enqueue(l *lane, tasks []Task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tasks {
		l.put(t, told, now)
	}
}

func (e *Engine) toScan(l *lane, fleet Fleet, news, missed bool, now time.Time) bool {
	changed := l.changed(fleet)
	e.mu.Lock()
	defer e.mu.Unlock()
	if changed {
		l.pause.until = now
	}
	l.dirty = l.dirty || news // nothing may have come of it yet, or somebody else may have brought what is pending
	return missed || changed || l.overdue(now) || l.more && l.queue.len() == 0
}

// retry puts what has failed and is due where it is taken from, once, with what the ledger says of it now: its sources may be
// others.
func (e *Engine) retry(l *lane, fleet Fleet, now time.Time) {
	e.mu.Lock()
	if now.Before(l.due) {
		e.mu.Unlock()
		return
	}
	var tasks []Task
	tasks, l.due = l.letters.due(now)
	tasks = slices.DeleteFunc(tasks, func(t Task) bool {
		_, runs := l.running[t.key()]
		return runs || l.queue.has(t.key())
	})
	e.mu.Unlock()
	var entries []ledger.Entry
	for _, t := range tasks {
		fresh := e.fresh(t)
		if len(fresh) == 0 {
			e.mu.Lock()
			delete(l.letters, t.key())
			e.mu.Unlock()
		}
		entries = append(entries, fresh...)
	}
	e.enqueue(l, Plan(entries, l.name, fleet), now)
}

// fresh are the entries of a task that are still to be done, as the ledger has them now.
func (e *Engine) fresh(t Task) (entries []ledger.Entry) {
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
func (e *Engine) start(ctx context.Context, b *blobs, l *lane, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil {
		t, ok := l.next(e.Concurrency, now)
		if !ok {
			break
		}
		l.begin(t)
		e.all.Go(func() {
			err := e.do(ctx, b, t)
			e.finish(ctx, l, t, err)
		})
	}
	wait := max(l.due.Sub(now), 0)
	if l.queue.len() > 0 && now.Before(l.pause.until) {
		wait = min(wait, l.pause.until.Sub(now))
	}
	return wait
}

func (e *Engine) finish(ctx context.Context, l *lane, t Task, err error) {
	e.mu.Lock()
	e.leave(l, t)
	switch {
	case err == nil:
		delete(l.letters, t.key())
		l.pause = pause{}
		l.done++
		l.pending = max(0, l.pending-len(t.Entries))
	case ctx.Err() == nil:
		l.failed(t, err, time.Now(), rand.Float64()) //nolint:gosec // jitter is no secret
	}
	e.gauges(l)
	e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	e.metrics.tasks.WithLabelValues(t.Target, string(t.Action), result(err)).Inc()
	if err != nil {
		e.Log.Warn("replication failed", "replica", t.Target, "action", t.Action, "repository", t.Repository, "digest", t.Digest, "error", err)
	}
	e.rouse()
}

// leave is called with mu.
func (e *Engine) leave(l *lane, t Task) {
	l.end(t)
	l.dirty = true
	close(e.freed)
	e.freed = make(chan struct{})
}

// gauges is called with mu.
func (e *Engine) gauges(l *lane) {
	e.metrics.pending.WithLabelValues(l.name).Set(float64(l.pending + len(e.doubtsOf(l.name).lacking)))
	e.metrics.dead.WithLabelValues(l.name).Set(float64(l.letters.dead()))
}
