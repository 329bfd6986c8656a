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

// Config is what a monitor needs. All fields are required but Targets, which may be empty.
type Config struct {
	Settings
	Here       string // the replica beside this gateway; "" if there is none
	Down       []Down // until its first probe
	Registerer prometheus.Registerer
	Log        *slog.Logger

	probe func(context.Context, Target) error // nil: get
}

// Monitor probes the targets, each in a goroutine of its own, and keeps the fleet current.
type Monitor struct {
	// Static after New.
	config     Config // but for its settings
	thresholds Thresholds
	metrics    metrics

	fleet     atomic.Pointer[router.Fleet]
	upstreams atomic.Pointer[map[string]*watch] // by replica
	ready     chan struct{}
	following sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	settings Settings
	watches  []*watch
	begin    func(*watch) // follows it; nil: the monitor does not run
	seen     map[key]router.Health
	counted  map[kindOf]bool // of which probes were counted
	accounts map[string]*Account
	leaving  []netip.Addr // this gateway's own fronts, once it stops
}

// New makes a monitor whose first fleet has everything up: fail open.
func New(config Config) *Monitor {
	m := &Monitor{
		config:     config,
		thresholds: Defaults(),
		metrics:    newMetrics(config.Registerer),
		ready:      make(chan struct{}),
		settings:   config.Settings,
		seen:       map[key]router.Health{},
		counted:    map[kindOf]bool{},
		accounts:   map[string]*Account{},
	}
	if m.config.probe == nil {
		m.config.probe = get
	}
	for i, t := range config.Targets {
		w := newWatch(t)
		m.watches = append(m.watches, w)
		m.add(w, i, len(config.Targets), !slices.Contains(config.Down, Down{t.Replica, t.Front}))
	}
	config.Registerer.MustRegister(availabilities{m})
	m.index()
	m.checkReady()
	m.assemble()
	return m
}

// add prepares the i-th of n watches that begin together. It counts as up or down until its first result.
func (m *Monitor) add(w *watch, i, n int, up bool) {
	w.offset = offset(m.settings.Interval, i, n)
	health := w.history.Health(m.thresholds, m.settings.Interval, w.offset)
	health.Up = up
	m.seen[w.key()] = health
	m.metrics.setUp(w.Target, up)
	m.metrics.setSlow(w.Target, false)
}

// offset staggers the first probes evenly over one spacing of an unsteady target, so that all are known
// soon and no two begin together; every later probe keeps the distance, unless results drive them apart.
func offset(interval time.Duration, i, n int) time.Duration {
	return History{}.Spacing(interval) * time.Duration(i) / time.Duration(n)
}

// index finds upstreams by their replica's name, for who holds no lock.
func (m *Monitor) index() {
	upstreams := map[string]*watch{}
	for _, w := range m.watches {
		if !w.Front.IsValid() {
			upstreams[w.Replica] = w
		}
	}
	m.upstreams.Store(&upstreams)
}

// assemble replaces the fleet. Called with mu held, so that a later state is never overwritten by an earlier one.
func (m *Monitor) assemble() {
	m.fleet.Store(assemble(m.settings.Replicas, m.config.Here, m.leaving, m.seen))
}

// Run probes until ctx ends and returns when the last probe has. It is called once.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.begin = func(w *watch) { m.start(ctx, w) }
	for _, w := range m.watches {
		m.begin(w)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.begin = nil
	m.mu.Unlock()
	m.following.Wait()
}

// Fleet is the present state of all replicas. Each ChangeIn counts from the last result of its
// target and is not counted down until the next one. That is exact enough: the next result of an
// unsteady target is one spacing and at most one timeout away (3 s by default), so an answer made
// from it outlives its reason by no more. Trouble may halve the spacing, which is not foreseen.
func (m *Monitor) Fleet() *router.Fleet { return m.fleet.Load() }

// Ready is closed when every target has had its first result. It stays so whatever is added later.
func (m *Monitor) Ready() <-chan struct{} { return m.ready }

// checkReady is called with mu held when a target has had its first result, or those that wait for one have changed.
func (m *Monitor) checkReady() {
	unprobed := slices.ContainsFunc(m.watches, func(w *watch) bool { return w.probed.IsZero() })
	select {
	case <-m.ready:
	default:
		if !unprobed {
			close(m.ready)
		}
	}
}

// Leave has these fronts of Config.Here count as down from now on: this gateway, which is behind them, is about to
// stop.
func (m *Monitor) Leave(fronts []netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = fronts
	m.assemble()
}

// Trouble tells that a request met trouble at a replica's upstream (refused, reset, stalled), whose
// next probe then starts at once, or half a second after the last one started. It never blocks, and
// decides nothing: one bad request is no evidence against a replica, the probe is.
func (m *Monitor) Trouble(replica string) {
	if w, probed := (*m.upstreams.Load())[replica]; probed {
		tell(w.trouble)
	}
}

// Alive tells that something which a replica's upstream was asked for by a request came after at. A probe that is late
// meanwhile is no failure. It never blocks, and costs next to nothing.
func (m *Monitor) Alive(replica string, at time.Time) {
	if w, probed := (*m.upstreams.Load())[replica]; probed {
		w.sign.give(at)
	}
}
