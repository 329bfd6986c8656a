package health

import (
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// Settings are what may change while a monitor runs.
type Settings struct {
	Replicas []router.Replica // at least one; the operator's word, the health fields are ignored
	Targets  []Target         // may be empty
	Interval time.Duration    // at least 1 s, between the starts of two probes of a steady target
	Timeout  time.Duration    // > 0, for all of a probe
}

// Update has the monitor go by other settings. A target that is as it was notices nothing: it keeps its history, its
// next probe and its series. A new one is probed at once, and counts as down until a probe finds it good: clients have
// done without it until now. What is taken away leaves nothing behind.
func (m *Monitor) Update(s Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := map[identity]*watch{}
	for _, w := range m.watches {
		old[w.identity()] = w
	}
	var all, kept, added []*watch
	ups := map[key]bool{} // of those added
	for _, t := range s.Targets {
		w, stays := old[t.identity()]
		if stays {
			delete(old, t.identity())
			kept = append(kept, w)
		} else {
			w = newWatch(t)
			added = append(added, w)
			ups[t.key()] = m.upBefore(t)
		}
		all = append(all, w)
	}
	for _, w := range old {
		m.drop(w)
	}
	moves := s.Interval != m.settings.Interval
	m.settings, m.watches = s, all
	m.dropCounts()
	m.dropAccounts()
	for i, w := range added {
		m.add(w, i, len(added), ups[w.key()])
		if m.begin != nil {
			m.begin(w)
		}
	}
	if moves {
		m.move(kept)
	}
	m.index()
	m.checkReady()
	m.assemble()
}

// upBefore is what a new target counts as until its first result: what the same server counted as under another path or
// with other certificates, or a front that nobody probed. Another server under the same name is not known to serve.
func (m *Monitor) upBefore(t Target) bool {
	i := slices.IndexFunc(m.watches, func(w *watch) bool { return w.key() == t.key() })
	if i >= 0 {
		return m.watches[i].sameServer(t) && m.seen[t.key()].Up
	}
	return slices.ContainsFunc(m.settings.Replicas, func(r router.Replica) bool {
		return r.Name == t.Replica && (!t.Front.IsValid() || slices.ContainsFunc(r.Fronts,
			func(f router.Front) bool { return f.Addr.Unmap() == t.Front.Unmap() }))
	})
}

// drop ends a watch. A result that is just coming finds it gone.
func (m *Monitor) drop(w *watch) {
	w.gone = true
	if w.stop != nil {
		w.stop()
	}
	delete(m.seen, w.key())
	m.metrics.drop(w.Target)
}

// dropCounts ends the counters of probes that nobody makes any more.
func (m *Monitor) dropCounts() {
	var counted []kindOf
	for _, w := range m.watches {
		counted = append(counted, kindOf{w.Replica, w.kind()})
	}
	for k := range m.counted {
		if !slices.Contains(counted, k) {
			m.metrics.dropCounts(k)
			delete(m.counted, k)
		}
	}
}

// move has the next probes follow another interval, those that are due by it one after the other.
func (m *Monitor) move(kept []*watch) {
	now := time.Now()
	for i, w := range kept {
		due := w.started.Add(w.spacing(m.settings.Interval))
		if soonest := now.Add(offset(m.settings.Interval, i, len(kept))); due.Before(soonest) {
			due = soonest
		}
		w.next = due
		tell(w.moved)
		m.see(w, time.Until(due))
	}
}
