package replication

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// Bounds of the engine.
const (
	tick     = time.Minute // between scans of the ledger, which find what no news told of
	maxQueue = 16_384      // tasks that wait, and entries of a scan, for one replica; the ledger has the rest
	maxNews  = 4096        // entries between two rounds; of more the ledger is scanned
	maxEarly = 1024        // blobs that are copied before their manifests, or wait to be
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
	lately  *lru.Cache[taskKey, Stamp]

	mu      sync.Mutex
	lanes   map[string]*lane   // Guarded by mu; by replica.
	meters  map[string]*meter  // Guarded by mu; by replica.
	letters letters            // Guarded by mu.
	doubts  map[string]*doubts // Guarded by mu; by replica.
	news    []Entry            // Guarded by mu. At most maxNews.
	missed  bool               // Guarded by mu: there was more news than that.
	blobs   *blobs             // Guarded by mu; nil while it does not run.
	freed   chan struct{}      // Guarded by mu; closed when a task has ended.
	all     sync.WaitGroup     // incremented by Run, and under mu while blobs is there
}

// New makes an engine, which Run starts.
func New(o Options) *Engine {
	written, err := lru.New[taskKey, Stamp](maxLately)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &Engine{
		Options: o, metrics: newMetrics(o.Metrics), wake: make(chan struct{}, 1), early: make(chan struct{}, maxEarly),
		lanes: map[string]*lane{}, meters: map[string]*meter{}, letters: letters{}, freed: make(chan struct{}),
		lately: written, doubts: map[string]*doubts{},
	}
}

// Run works until ctx ends, and then until all that was under way has ended.
func (e *Engine) Run(ctx context.Context) {
	b := newBlobs(ctx, e.reach, e.source, e.Concurrency, func(err error) { e.metrics.blobs.WithLabelValues(result(err)).Inc() })
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
func (e *Engine) News(entries ...Entry) {
	e.mu.Lock()
	if len(e.news)+len(entries) > maxNews {
		e.missed = true
	} else {
		e.news = append(e.news, entries...)
	}
	e.mu.Unlock()
	e.rouse()
}

// Committed tells of a blob, whose manifest may yet be far: it is copied at once. It never waits.
func (e *Engine) Committed(b Blob) {
	e.mu.Lock()
	over := e.blobs
	e.mu.Unlock()
	if over == nil {
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
				err := over.bring(over.ctx, blobKey{target, b.Repository, b.Digest}, []string{b.Replica})
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

// round starts what can be started, and returns after how long there is more to do unless news comes.
func (e *Engine) round(ctx context.Context, b *blobs) time.Duration {
	fleet, now := e.Fleet(), time.Now()
	e.mu.Lock()
	news, missed := e.news, e.missed
	e.news, e.missed = nil, false
	e.mu.Unlock()
	for _, name := range fleet.Served() {
		l := e.lane(name)
		for _, t := range Plan(news, name, fleet) {
			e.enqueue(l, t, now)
		}
		scan := missed || l.changed(fleet) || !now.Before(l.scanAt) || l.more && len(l.queue) == 0
		if scan {
			e.scan(l, fleet, now)
		}
		e.review(ctx, name, news, scan)
		e.mu.Lock()
		due := e.letters.due(name, now)
		e.mu.Unlock()
		for _, t := range due {
			// Its sources may be others now.
			for _, t := range Plan(t.Entries, name, fleet) {
				e.enqueue(l, t, now)
			}
		}
		e.start(ctx, b, l, now)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	wait := tick
	if next, ok := e.letters.next(); ok {
		wait = min(wait, max(next.Sub(now), firstPause)) // who cannot be served now is looked at again all the same
	}
	return wait
}

func (e *Engine) lane(name string) *lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lanes[name] == nil {
		e.lanes[name] = &lane{name: name, queued: map[taskKey]bool{}, running: map[taskKey]Task{}}
	}
	return e.lanes[name]
}

// start takes from the queue as long as there is room.
func (e *Engine) start(ctx context.Context, b *blobs, l *lane, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.queue = slices.DeleteFunc(l.queue, func(t Task) bool {
		if l.inTheWay(t) || len(l.running) >= e.Concurrency || ctx.Err() != nil {
			return false
		}
		delete(l.queued, t.key())
		if e.letters.blocks(t, now) {
			return true
		}
		l.running[t.key()] = t
		e.all.Go(func() {
			err := e.do(ctx, b, t)
			e.finish(ctx, l, t, err)
		})
		return true
	})
}

func (e *Engine) finish(ctx context.Context, l *lane, t Task, err error) {
	e.mu.Lock()
	e.leave(l, t)
	switch {
	case err == nil:
		delete(e.letters, t.key())
		l.done++
		l.pending = max(0, l.pending-len(t.Entries))
	case ctx.Err() == nil:
		e.letters.failed(t, err, transfer.Unsupported(err), time.Now())
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
	delete(l.running, t.key())
	close(e.freed)
	e.freed = make(chan struct{})
}

// gauges is called with mu.
func (e *Engine) gauges(l *lane) {
	dead := 0
	for _, have := range e.letters {
		if have.Dead && have.Task.Target == l.name {
			dead++
		}
	}
	e.metrics.pending.WithLabelValues(l.name).Set(float64(l.pending))
	e.metrics.dead.WithLabelValues(l.name).Set(float64(dead))
}

// Letters lists what has failed and is tried again, or is not.
func (e *Engine) Letters() []Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.letters.list()
}

// LettersOf are those about one entry, by the replica that lacks it.
func (e *Engine) LettersOf(entry Entry) map[string]Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.letters.of(entry)
}

// Retry tries again what has failed, at once and from the beginning, and tells how many that is.
func (e *Engine) Retry(which func(Letter) bool) (count int) {
	e.mu.Lock()
	for _, have := range e.letters {
		if which(*have) {
			have.Tries, have.Dead, have.Next = 0, false, time.Now()
			count++
		}
	}
	e.mu.Unlock()
	e.rouse()
	return count
}

// reach is a replica by way of its meter.
func (e *Engine) reach(name string) transfer.Replica {
	r := e.Reach(name)
	r.Name = name
	r.Transport = e.meter(name).over(r.Transport)
	return r
}

// source is a replica as one that is read from for another.
func (e *Engine) source(name, target string) transfer.Replica {
	r := e.reach(name)
	if e.Moved == nil {
		return r
	}
	return r.Counted(func(n int) { e.Moved(name, target, n) })
}

func (e *Engine) meter(name string) *meter {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.meters[name] == nil {
		bytes := e.metrics.bytes.WithLabelValues(name)
		e.meters[name] = newMeter(e.BytesPerSecond, func(n int) { bytes.Add(float64(n)) })
	}
	return e.meters[name]
}

// enqueue keeps the queue's order.
func (e *Engine) enqueue(l *lane, t Task, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.letters.blocks(t, now) || l.covers(t) {
		return
	}
	if l.queued[t.key()] {
		i := slices.IndexFunc(l.queue, func(q Task) bool { return q.key() == t.key() })
		t = merge(l.queue[i], t)
		l.queue = slices.Delete(l.queue, i, i+1)
	} else if len(l.queue) >= maxQueue {
		l.more = true
		return
	}
	i, _ := slices.BinarySearchFunc(l.queue, t, order)
	l.queue = slices.Insert(l.queue, i, t)
	l.queued[t.key()] = true
}
