package audit

import (
	"slices"
	"time"
)

// When replicas are audited. One that was down, or could not be asked to the end, waits for less.
const (
	auditInterval = 6 * time.Hour
	retryInterval = 10 * time.Minute

	hearsayDelay    = 10 * time.Second // for what another gateway has recorded to come to us
	firstSurveyWait = time.Hour        // for another gateway to survey the first replica
	awaitedInterval = time.Minute      // between two audits of a replica that is to leave
)

// firstSurvey is how far the survey of the fleet's first replica is.
type firstSurvey struct {
	began   time.Time
	heardAt time.Time // when another gateway told that it has surveyed it
}

// lastAudit is how the last audit of a replica went, since the start.
type lastAudit struct {
	began     time.Time // zero: there was none
	retrySoon bool      // it was down since, or could not be asked to the end
}

// due lists the replicas to audit now: those that this gateway serves, once those that nobody copies to, and those that
// are to leave: what they were given past the gateways is to be found before it is too late. The first replica's tags
// win where nothing is recorded: while another gateway surveys it, no other replica is audited for the first time.
func due(
	fleet []Replica, surveyedHolders []string, history map[string]lastAudit, survey firstSurvey, now time.Time,
) (names []string) {
	surveyed := func(r Replica) bool { return slices.Contains(surveyedHolders, r.holder()) }
	for i, r := range fleet {
		last := history[r.holder()]
		wanted := (r.Served || r.Survey && !surveyed(r)) && last.longAgo(now)
		if !r.Up || !wanted && !last.tooEarly(r.Awaited, now) {
			continue
		}
		first := fleet[0]
		waits := i > 0 && !surveyed(r) && first.Up && survey.runs(surveyed(first), now)
		if waits && !slices.Contains(names, first.Name) {
			continue
		}
		names = append(names, r.Name)
	}
	return names
}

// longAgo reports whether it is long enough ago for another audit.
func (l lastAudit) longAgo(now time.Time) bool {
	wait := auditInterval
	if l.retrySoon {
		wait = retryInterval
	}
	return l.began.IsZero() || now.Sub(l.began) >= wait
}

// tooEarly reports whether the audit began before the one that is waited for, or has to be tried again.
func (l lastAudit) tooEarly(awaited, now time.Time) bool {
	return !awaited.IsZero() && (l.began.Before(awaited) || now.Sub(l.began) >= awaitedInterval)
}

// runs reports whether the survey is under way, or what it recorded elsewhere may not have come to us.
func (s firstSurvey) runs(surveyed bool, now time.Time) bool {
	return !surveyed && now.Sub(s.began) < firstSurveyWait || now.Sub(s.heardAt) < hearsayDelay
}

// noteUnreachable notes which registries cannot be asked now.
func noteUnreachable(fleet []Replica, history map[string]lastAudit) {
	for holder, last := range history {
		i := slices.IndexFunc(fleet, func(r Replica) bool { return r.holder() == holder })
		if i < 0 || !fleet[i].Up {
			last.retrySoon = true
			history[holder] = last
		}
	}
}
