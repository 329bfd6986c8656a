package replication

import (
	"cmp"
	"context"
	"log/slog"
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
	tick           = time.Minute // between scans of the ledger, which find what Enqueue was not told of
	idleTick       = 10 * tick   // the same, where nothing has happened
	notCurrentTick = time.Second // until a ledger that was not current is looked at again
	maxIncoming    = 4096        // entries between two rounds; if there are more, the ledger is scanned
	maxEarlyBlobs  = 1024        // blobs that are copied before their manifests, or wait to be
)

// Gateway is what the engine asks the gateway that runs it.
type Gateway interface {
	Fleet() Fleet
	// Reach is how to reach a replica, with a transport that logs in.
	Reach(replica string) transfer.Replica
	// Current reports whether the ledger can be written and knows what other gateways know. Nothing begins while it
	// does not.
	Current() bool
	// Surveyed reports whether the ledger has what was on the replica before there was a ledger.
	Surveyed(replica string) bool
}

// Settings are what may change while the engine runs.
type Settings struct {
	Concurrency    int   // images, and blobs, at a time to one replica; at least 1
	BytesPerSecond int64 // to one replica; 0: no bound
	// Filters is what Replica.LeftOut goes by, in any form. When it changes, replicas may lack more, or less.
	Filters string
}

// Options are what the engine works with.
type Options struct {
	Gateway       Gateway
	Ledger        Ledger
	Settings                                             // at first
	Moved         func(source, target string, bytes int) // counts what a source sent for a target; nil: nobody counts
	Writes        *transfer.Writes                       // shared with others that write as the gateway; nil: none
	UnseenDeletes bool                                   // others may delete without the ledger hearing of it
	Metrics       prometheus.Registerer
	Log           *slog.Logger

	recheckDelay time.Duration // 0: recheckDelay
}

// Engine copies to every replica that it serves what was pushed to another, and deletes what was deleted.
type Engine struct {
	// Static after New.
	Options
	settings     atomic.Pointer[Settings]
	metrics      *metrics
	wake         chan struct{} // holds one
	earlyBlobs   chan struct{} // one for each blob that is copied before its manifest
	recentWrites *lru.Cache[taskKey, hlc.Stamp]

	delayedRechecks atomic.Int64

	mu         sync.Mutex
	workers    map[string]*worker   // Guarded by mu; by replica.
	meters     map[string]*meter    // Guarded by mu; by replica.
	incoming   []ledger.Entry       // Guarded by mu. At most maxIncoming.
	overflowed bool                 // Guarded by mu: there were more entries than that.
	blobs      *blobs               // Guarded by mu; nil while the engine does not run.
	taskEnded  chan struct{}        // Guarded by mu; closed when a task has ended.
	running    sync.WaitGroup       // incremented by Run, and under mu while blobs is there
	rechecks   map[string]*rechecks // Guarded by mu; by replica.
	catalogs   map[string]catalog   // Guarded by mu; by replica.
	lives      map[string]*life     // Guarded by mu; by replica, of the fleet at the last round.
}

// New makes an engine, which Run starts.
func New(o Options) *Engine {
	recent, err := lru.New[taskKey, hlc.Stamp](maxRecentWrites)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	if o.Writes == nil {
		o.Writes = &transfer.Writes{}
	}
	o.recheckDelay = cmp.Or(o.recheckDelay, recheckDelay)
	e := &Engine{
		Options: o, metrics: newMetrics(o.Metrics),
		wake: make(chan struct{}, 1), earlyBlobs: make(chan struct{}, maxEarlyBlobs),
		workers: map[string]*worker{}, meters: map[string]*meter{}, taskEnded: make(chan struct{}),
		recentWrites: recent,
		rechecks:     map[string]*rechecks{}, catalogs: map[string]catalog{}, lives: map[string]*life{},
	}
	e.settings.Store(&o.Settings)
	return e
}

// Run works until ctx ends, and then until all tasks under way have ended.
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

// Enqueue takes entries that were recorded, here or by another gateway. It never waits.
func (e *Engine) Enqueue(entries ...ledger.Entry) {
	e.mu.Lock()
	if len(e.incoming)+len(entries) > maxIncoming {
		e.overflowed = true
	} else {
		e.incoming = append(e.incoming, entries...)
	}
	e.mu.Unlock()
	e.Wake()
}

// Wake starts a round: the fleet may have changed. It never waits.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Committed copies a blob that was committed on a replica at once, long before its manifest may come. It waits for mu
// alone, which nobody holds while reading, writing or asking; putting a full queue in order takes longest.
func (e *Engine) Committed(b Blob) {
	e.mu.Lock()
	over := e.blobs
	e.mu.Unlock()
	if over == nil || !e.Gateway.Current() {
		return
	}
	for _, target := range planBlob(b, e.Gateway.Fleet()) {
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
					e.Log.Debug("the early copy of a blob failed; its manifest's task copies it",
						"replica", target, "repository", b.Repository, "digest", b.Digest, "error", err)
				}
			})
		default:
			e.metrics.late.Inc()
		}
		e.mu.Unlock()
	}
}

// runRound starts what can be started, and returns how long to wait until there is more to do, unless something wakes
// the engine before.
func (e *Engine) runRound(ctx context.Context, b *blobs) time.Duration {
	if !e.Gateway.Current() {
		return notCurrentTick
	}
	fleet, now := e.Gateway.Fleet(), time.Now()
	e.mu.Lock()
	incoming, overflowed := e.incoming, e.overflowed
	e.incoming, e.overflowed = nil, false
	e.mu.Unlock()
	served := fleet.Served()
	e.dropUnserved(served)
	e.dropGone(fleet)
	wait := tick
	for _, name := range served {
		e.mu.Lock()
		w := e.worker(name)
		e.mu.Unlock()
		e.enqueueTasks(w, plan(incoming, name, fleet), now)
		scan := e.scanDue(w, fleet, len(incoming) > 0, overflowed, now)
		if scan {
			e.scan(w, fleet, now)
		}
		e.startRechecks(ctx, name, incoming, scan)
		if fleet.target(name) != nil {
			e.enqueueRetries(w, fleet, now)
			wait = min(wait, e.startTasks(ctx, b, w, now))
		}
	}
	for _, r := range fleet.Replicas { // that others serve: this gateway may have written there for a client's push
		if r.readable() && !slices.Contains(served, r.Name) {
			e.startRechecks(ctx, r.Name, incoming, overflowed)
		}
	}
	return wait
}

// dropUnserved forgets replicas that another gateway serves now, as soon as no task runs there.
func (e *Engine) dropUnserved(served []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, w := range e.workers {
		if slices.Contains(served, name) {
			continue
		}
		w.queue, w.failures, w.scanned, w.complete, w.lastScan = queue{}, failures{}, false, false, time.Time{}
		e.metrics.pending.DeleteLabelValues(name)
		e.metrics.givenUp.DeleteLabelValues(name)
		if len(w.running) == 0 {
			delete(e.workers, name)
		}
	}
}

// worker is called with mu.
func (e *Engine) worker(name string) *worker {
	if e.workers[name] == nil {
		e.workers[name] = newWorker(name)
	}
	return e.workers[name]
}
