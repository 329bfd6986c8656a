package health

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
)

// troubleGap is the least time between the starts of two probes that trouble brings forward: a flood
// of trouble must not become a flood of probes.
const troubleGap = 500 * time.Millisecond

// Config is what a monitor needs. All fields are required but Targets, which may be empty.
type Config struct {
	Replicas   []router.Replica // at least one; the operator's word, the health fields are ignored
	Targets    []Target
	Here       string        // the replica beside this gateway; "" if there is none
	Down       []Down        // until its first probe
	Interval   time.Duration // at least 1 s, between the starts of two probes of a steady target
	Timeout    time.Duration // > 0, for all of a probe
	Registerer prometheus.Registerer
	Log        *slog.Logger

	probe func(context.Context, Target) error // nil: get
}

// Monitor probes the targets, each in a goroutine of its own, and keeps the fleet current.
type Monitor struct {
	// Static after New.
	config     Config
	thresholds Thresholds
	watches    []*watch
	upstreams  map[string]*watch // by replica
	metrics    metrics

	fleet atomic.Pointer[router.Fleet]
	ready chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	seen     map[key]router.Health
	unprobed int          // targets without a result
	leaving  []netip.Addr // this gateway's own fronts, once it stops
}

// watch is what the monitor keeps of one target.
type watch struct {
	// Static after New.
	Target
	offset time.Duration // until the first probe

	trouble chan struct{} // holds at most one: the next probe is to start now
	sign    sign

	// Guarded by Monitor.mu.
	history History
	text    string    // of the last result
	probed  time.Time // when the last result came
	since   time.Time // when Up last changed, or the first result came
}

// New makes a monitor whose first fleet has everything up: fail open.
func New(config Config) *Monitor {
	m := &Monitor{
		config:     config,
		thresholds: Defaults(),
		upstreams:  map[string]*watch{},
		metrics:    newMetrics(config.Registerer),
		ready:      make(chan struct{}),
		seen:       map[key]router.Health{},
		unprobed:   len(config.Targets),
	}
	if m.config.probe == nil {
		m.config.probe = get
	}
	for i, target := range config.Targets {
		m.add(target, i)
	}
	if m.unprobed == 0 {
		close(m.ready)
	}
	m.fleet.Store(assemble(config.Replicas, config.Here, nil, m.seen))
	return m
}

// add staggers the first probes evenly over one spacing of an unsteady target, so that all are known
// soon and no two begin together; every later probe keeps the distance, unless results drive them apart.
func (m *Monitor) add(target Target, i int) {
	spread := History{}.Spacing(m.config.Interval)
	w := &watch{
		Target:  target,
		offset:  spread * time.Duration(i) / time.Duration(len(m.config.Targets)),
		trouble: make(chan struct{}, 1),
		sign:    sign{began: time.Now()},
		text:    "not probed yet",
	}
	m.watches = append(m.watches, w)
	if !target.Front.IsValid() {
		m.upstreams[target.Replica] = w
	}
	health := w.history.Health(m.thresholds, m.config.Interval, w.offset)
	health.Up = !slices.Contains(m.config.Down, Down{target.Replica, target.Front})
	m.seen[target.key()] = health
	m.metrics.setUp(target, health.Up)
}

// Run probes until ctx ends and returns when the last probe has.
func (m *Monitor) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range m.watches {
		all.Go(func() { m.follow(ctx, w) })
	}
	all.Wait()
}

// Fleet is the present state of all replicas. Each ChangeIn counts from the last result of its
// target and is not counted down until the next one. That is exact enough: the next result of an
// unsteady target is one spacing and at most one timeout away (3 s by default), so an answer made
// from it outlives its reason by no more. Trouble may halve the spacing, which is not foreseen.
func (m *Monitor) Fleet() *router.Fleet { return m.fleet.Load() }

// Ready is closed when every target has had its first result.
func (m *Monitor) Ready() <-chan struct{} { return m.ready }

// Leave has these fronts of Config.Here count as down from now on: this gateway, which is behind them, is about to
// stop.
func (m *Monitor) Leave(fronts []netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = fronts
	m.fleet.Store(assemble(m.config.Replicas, m.config.Here, m.leaving, m.seen))
}

// Trouble tells that a request met trouble at a replica's upstream (refused, reset, stalled), whose
// next probe then starts at once, or half a second after the last one started. It never blocks, and
// decides nothing: one bad request is no evidence against a replica, the probe is.
func (m *Monitor) Trouble(replica string) {
	w, probed := m.upstreams[replica]
	if !probed {
		return
	}
	select {
	case w.trouble <- struct{}{}:
	default: // that probe is already asked for
	}
}

// Alive tells that something which a replica's upstream was asked for by a request came after at. A probe that is late
// meanwhile is no failure. It never blocks, and costs next to nothing.
func (m *Monitor) Alive(replica string, at time.Time) {
	if w, probed := m.upstreams[replica]; probed {
		w.sign.give(at)
	}
}

// follow probes one target until ctx ends.
func (m *Monitor) follow(ctx context.Context, w *watch) {
	var started time.Time
	for pause := w.offset; w.wait(ctx, started, pause); {
		started = time.Now()
		err := m.probe(ctx, w.Target)
		if ctx.Err() != nil {
			return // our own end says nothing about the target
		}
		pause = m.record(w, err, started)
	}
}

// wait returns when the next probe is due: after pause, or earlier for trouble. It is false when ctx
// ended.
func (w *watch) wait(ctx context.Context, started time.Time, pause time.Duration) bool {
	due := time.NewTimer(pause)
	defer due.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
		return true
	case <-w.trouble:
	}
	due.Reset(time.Until(started.Add(troubleGap)))
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
		return true
	}
}

func (m *Monitor) probe(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, m.config.Timeout)
	defer cancel()
	return m.config.probe(ctx, t)
}
