package health

import (
	"net/netip"
	"time"
)

// record takes in one result, publishes what it changes and returns the pause until the next probe.
// Spacing runs from start to start: a target that hangs is judged as fast as the timeout allows.
func (m *Monitor) record(w *watch, err error, started time.Time) time.Duration {
	now := time.Now()
	result, text := outcomeOf(err, started, w.sign.last())
	m.metrics.probes.WithLabelValues(w.Replica, w.kind(), string(result)).Inc()

	m.mu.Lock()
	before := w.history
	w.history = Step(m.thresholds, before, result.result())
	after := w.history
	first := w.probed.IsZero()
	w.text, w.probed = text, now
	if first || before.Up() != after.Up() {
		w.since = now
	}
	pause := max(0, after.Spacing(m.config.Interval)-now.Sub(started))
	m.publish(w, pause)
	if first {
		m.count()
	}
	m.mu.Unlock()

	if up := m.up(w); first || before.Up() != after.Up() {
		m.metrics.setUp(w.Target, up)
	}
	if before.Up() != after.Up() {
		m.logChange(w.Target, after.Up(), text)
	}
	return pause
}

// publish replaces the fleet if what decisions see of a target changed. Called with mu held, so that
// a later state is never overwritten by an earlier one.
func (m *Monitor) publish(w *watch, pause time.Duration) {
	health := w.history.Health(m.thresholds, m.config.Interval, pause)
	if !w.history.Known() { // nothing speaks yet against what was remembered
		health.Up = m.seen[w.key()].Up
	}
	if m.seen[w.key()] == health {
		return
	}
	m.seen[w.key()] = health
	m.fleet.Store(assemble(m.config.Replicas, m.config.Here, m.leaving, m.seen))
}

func (m *Monitor) up(w *watch) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[w.key()].Up
}

// count is called with mu held at the first result of each target.
func (m *Monitor) count() {
	m.unprobed--
	if m.unprobed == 0 {
		close(m.ready)
	}
}

func (m *Monitor) logChange(t Target, up bool, text string) {
	m.config.Log.Info("health changed", "replica", t.Replica, "target", t.kind(),
		"address", t.address(), "up", up, "reason", text)
}

// Status is one target as the admin page shows it.
type Status struct {
	Replica string
	Front   netip.Addr // invalid for the upstream
	URL     string
	Up      bool
	Known   bool      // false: nothing yet that speaks for or against it, counted as up
	Result  string    // text of the last result
	Probed  time.Time // when it came
	Since   time.Time // when Up last changed, or the first result came
}

// Status returns all targets in the order they were given in.
func (m *Monitor) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Status, len(m.watches))
	for i, w := range m.watches {
		all[i] = Status{
			Replica: w.Replica, Front: w.Front, URL: w.URL,
			Up: m.seen[w.key()].Up, Known: w.history.Known(),
			Result: w.text, Probed: w.probed, Since: w.since,
		}
	}
	return all
}
