package replication

import (
	"errors"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// breakAfter is how many tasks in a row may fail because of the replica before its breaker opens.
const breakAfter = 16

// breaker is the circuit breaker of a replica. It is open until a time, when no task begins; then half open, when one
// task at a time does; and closed again when a task succeeds. The zero value is closed.
type breaker struct {
	failures   int
	until      time.Time
	repository string // of the last failure: while half open, a task of another one goes first
}

// blamesReplica reports whether the next task would fail as well. A replica that cannot be reached gives no status.
func blamesReplica(err error, target string) bool {
	var e *transfer.Error
	return errors.As(err, &e) && !errors.Is(err, errLetIn) && e.Replica == target &&
		(e.Status == 0 || transfer.Refused(err))
}

// noteFailure counts a failure that the replica is to blame for. noted: the task is among the failures, which hold it
// back; if it is not, only the breaker can, so it opens at once.
func (b *breaker) noteFailure(repository string, noted bool, now time.Time, random float64) {
	b.failures++
	if !noted {
		b.failures = max(b.failures, breakAfter)
	}
	b.repository = repository
	if b.tripped() {
		b.until = now.Add(pauses.Wait(b.failures-breakAfter+1, random))
	}
}

// tripped: the breaker is open, or half open.
func (b *breaker) tripped() bool { return b.failures >= breakAfter }

// limit is how many tasks may run at a time.
func (b *breaker) limit(most int, now time.Time) int {
	switch {
	case !b.tripped():
		return most
	case now.Before(b.until):
		return 0
	}
	return 1
}
