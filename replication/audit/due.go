package audit

import (
	"slices"
	"time"
)

// When replicas are looked at. Who returned, or could not be looked at to the end, need not wait for the next round.
const (
	every = 6 * time.Hour
	soon  = 10 * time.Minute
)

// past is what was done with a replica since the start.
type past struct {
	began time.Time // of its last audit; zero: none
	soon  bool      // it was away since, or could not be looked at to the end
}

// due are the replicas that are to be looked at now: those that we serve, and once those that nothing is brought to.
func due(fleet []Replica, whole []string, history map[string]past, now time.Time) (names []string) {
	for _, r := range fleet {
		p := history[r.Name]
		wait := every
		if p.soon {
			wait = soon
		}
		if r.Up && (r.Mine || r.Survey && !slices.Contains(whole, r.Name)) && (p.began.IsZero() || now.Sub(p.began) >= wait) {
			names = append(names, r.Name)
		}
	}
	return names
}

// away notes which replicas cannot be asked now.
func away(fleet []Replica, history map[string]past) {
	for name, p := range history {
		if !slices.ContainsFunc(fleet, func(r Replica) bool { return r.Name == name && r.Up }) {
			p.soon = true
			history[name] = p
		}
	}
}
