package audit

import (
	"slices"
	"time"
)

// When replicas are looked at. Who returned, or could not be looked at to the end, need not wait for the next round.
const (
	every      = 6 * time.Hour
	everyRetry = 10 * time.Minute

	hearsayDelay    = 10 * time.Second // in which what another gateway has found comes to us
	firstSurveyWait = time.Hour        // with a gateway that does not find out what its replica has
)

// watch is what the audits in the background go by.
type firstSurvey struct {
	began   time.Time
	heardAt time.Time // when another gateway told that it knows what the fleet's first replica has
}

// past is what was done with a replica since the start.
type lastAudit struct {
	began     time.Time // of its last audit; zero: none
	retrySoon bool      // it was away since, or could not be looked at to the end
}

// due are the replicas that are to be looked at now: those that we serve, and once those that nothing is brought to.
// What the first one of the fleet has of a tag holds, of what nobody has recorded: while another gateway finds that
// out, no other replica is looked at for the first time.
func due(fleet []Replica, whole []string, history map[string]lastAudit, w firstSurvey, now time.Time) (names []string) {
	surveyed := func(name string) bool { return slices.Contains(whole, name) }
	for i, r := range fleet {
		p := history[r.Name]
		wait := every
		if p.retrySoon {
			wait = everyRetry
		}
		if !r.Up || !(r.Served || r.Survey && !surveyed(r.Name)) || !p.began.IsZero() && now.Sub(p.began) < wait {
			continue
		}
		first := fleet[0]
		unsettled := !surveyed(first.Name) && now.Sub(w.began) < firstSurveyWait || now.Sub(w.heardAt) < hearsayDelay
		if i > 0 && !surveyed(r.Name) && first.Up && unsettled && !slices.Contains(names, first.Name) {
			continue
		}
		names = append(names, r.Name)
	}
	return names
}

// away notes which replicas cannot be asked now.
func away(fleet []Replica, history map[string]lastAudit) {
	for name, p := range history {
		if !slices.ContainsFunc(fleet, func(r Replica) bool { return r.Name == name && r.Up }) {
			p.retrySoon = true
			history[name] = p
		}
	}
}
