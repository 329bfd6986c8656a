package health

import (
	"net/netip"
	"time"
)

// record takes in one result, and when the certificate ends that came with it, and publishes what it changes.
// Spacing runs from start to start: a target that hangs is judged as fast as the timeout allows.
func (m *Monitor) record(w *watch, err error, started, ends time.Time) {
	now := time.Now()
	result, text := outcomeOf(err, started, w.sign.last())

	m.mu.Lock()
	defer m.mu.Unlock()
	if w.gone {
		return
	}
	m.counted[kindOf{w.Replica, w.kind()}] = true
	m.metrics.probes.WithLabelValues(w.Replica, w.kind(), string(result)).Inc()
	w.history = Step(m.thresholds, w.history, result.result())
	m.certify(w, ends, now)
	wasSlow := w.pace.Slow()
	w.pace = w.pace.Step(Sample{Began: started, Took: now.Sub(started), Late: result == late,
		Fails: result != late && result != alive}, now, m.pacesBeside(w.Replica))
	wasUp := m.seen[w.key()].Up
	first := w.probed.IsZero()
	w.text, w.probed, w.started = text, now, started
	w.next = started.Add(w.spacing(m.settings.Interval))
	if w.next.Before(now) {
		w.next = now
	}
	if m.see(w, w.next.Sub(now)) {
		m.assemble()
	}
	up := m.seen[w.key()].Up
	if first || wasUp != up {
		w.since = now
		m.metrics.setUp(w.Target, up)
	}
	if slow := w.pace.Slow(); slow != wasSlow {
		m.metrics.setSlow(w.Target, slow)
		m.config.Log.Info("pace changed", "replica", w.Replica, "target", w.kind(), "address", w.address(), "slow", slow,
			"took", now.Sub(started), "usual", w.pace.known())
	}
	if first {
		m.checkReady()
	}
	if wasUp != up {
		m.logChange(w.Target, up, text)
	}
}

// spacing is the time from the start of one probe to the start of the next.
func (w *watch) spacing(interval time.Duration) time.Duration {
	return min(w.history.Spacing(interval), w.pace.Spacing(interval))
}

// pacesBeside are those of other replicas' targets that are up. Called with mu held.
func (m *Monitor) pacesBeside(replica string) (all []Pace) {
	for _, w := range m.watches {
		if w.Replica != replica && m.seen[w.key()].Up {
			all = append(all, w.pace)
		}
	}
	return all
}

// see keeps what decisions see of a target, whose next probe is due after pause, and reports whether that has changed.
// Called with mu held.
func (m *Monitor) see(w *watch, pause time.Duration) bool {
	pause = max(pause, 0)
	health := w.history.Health(m.thresholds, m.settings.Interval, pause)
	health.Slow = w.pace.Slow()
	if !w.history.Known() { // nothing speaks yet against what it counts as
		health.Up = m.seen[w.key()].Up
	}
	if change := w.pace.ChangeIn(m.settings.Interval, pause); health.Up && change > 0 {
		if health.ChangeIn == 0 || change < health.ChangeIn {
			health.ChangeIn = change
		}
	}
	changed := m.seen[w.key()] != health
	m.seen[w.key()] = health
	return changed
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
	Slow    bool      // it answers in many times its usual time
	Known   bool      // false: nothing yet that speaks for or against it
	Result  string    // text of the last result
	Probed  time.Time // when it came
	Since   time.Time // when Up last changed, or the first result came
	Ends    time.Time // when its certificate does; zero: it showed none
}

// Status returns all targets in the order they were given in.
func (m *Monitor) Status() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Status, len(m.watches))
	for i, w := range m.watches {
		all[i] = Status{
			Replica: w.Replica, Front: w.Front, URL: w.URL,
			Up: m.seen[w.key()].Up, Slow: w.pace.Slow(), Known: w.history.Known(),
			Result: w.text, Probed: w.probed, Since: w.since, Ends: w.ends,
		}
	}
	return all
}
