package replication

import (
	"errors"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// patience is how many tasks in a row may fail because of the replica before it is left alone.
const breakAfter = 16

// pause leaves a replica alone that takes nothing at all: for a while that grows nothing is tried there, and then one task at a
// time, until one is done.
type breaker struct {
	failures   int
	until      time.Time
	repository string // of the last failure: another one may be let in
}

// ofAll: the next task would fail as well. A replica that cannot be reached gives no answer.
func blamesReplica(err error, target string) bool {
	var e *transfer.Error
	return errors.As(err, &e) && !errors.Is(err, errLetIn) && e.Replica == target &&
		(e.Status == 0 || transfer.Refused(err))
}

// failed takes note of a task that says something about the replica. Without a letter nothing else would hold the task back.
func (p *breaker) noteFailure(repository string, lettered bool, now time.Time, random float64) {
	p.failures++
	if !lettered {
		p.failures = max(p.failures, breakAfter)
	}
	p.repository = repository
	if p.failures >= breakAfter {
		p.until = now.Add(backoff(p.failures-breakAfter+1, random))
	}
}

// room is how many tasks may be under way.
func (p *breaker) limit(most int, now time.Time) int {
	switch {
	case p.failures < breakAfter:
		return most
	case now.Before(p.until):
		return 0
	}
	return 1
}
