package replication

import (
	"slices"
	"strings"
	"time"
)

// State is how far a replica is.
type State string

// The closed set of states.
const (
	Provisioning State = "Provisioning" // what it lacks has not been found out yet
	Syncing      State = "Syncing"
	Ready        State = "Ready"
)

// Progress is what one replica lacks. The bytes of an entry are known only when it is copied: Bytes and Left are
// estimated by those that were copied since the start, and are 0 before there is any.
type Progress struct {
	Replica string
	State   State
	Entries int     // that it has not confirmed, or was seen to lack though it has
	Running int     // tasks
	Waiting int     // tasks that have failed and are tried again
	GivenUp int     // tasks that are tried again by Retry alone
	Bytes   int64   // estimated
	Rate    float64 // bytes per second, the mean of the last minute
	Left    time.Duration
}

// Progress lists the replicas that are served, by name.
func (e *Engine) Progress() (list []Progress) {
	fleet, now := e.Gateway.Fleet(), time.Now()
	for _, name := range fleet.Served() {
		perSecond, sent := e.meter(name).rate(now)
		p := Progress{Replica: name, State: Provisioning, Rate: perSecond}
		e.mu.Lock()
		if w := e.workers[name]; w != nil {
			p.GivenUp = w.failures.countGivenUp()
			p.Waiting = len(w.failures) - p.GivenUp
			if w.complete && e.Gateway.Surveyed(name) {
				w.progress(&p, len(e.rechecksOf(name).lacking), perSecond, sent)
			}
		}
		e.mu.Unlock()
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Progress) int { return strings.Compare(a.Replica, b.Replica) })
	return list
}

// progress is called with the engine's mu.
func (w *worker) progress(p *Progress, lacking int, perSecond float64, sent int64) {
	p.Entries, p.Running = w.pending+lacking, len(w.running)
	p.State = Ready
	if p.Entries > 0 {
		p.State = Syncing
	}
	if w.doneTasks > 0 {
		p.Bytes = sent / w.doneTasks * int64(p.Entries)
	}
	if perSecond > 0 {
		p.Left = time.Duration(float64(p.Bytes) / perSecond * float64(time.Second)).Round(time.Second)
	}
}
