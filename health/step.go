// Package health finds out which fronts and upstreams are alive. What a row of probe results means is
// decided by Step, a pure function; the monitor around it probes, counts, logs and publishes the
// fleet that DNS and proxy decide with.
package health

import (
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// Result is what one probe says of its target. The set is closed.
type Result string

// Unknown is for a probe whose end has another cause than the target's health.
const (
	Success Result = "success"
	Failure Result = "failure"
	Unknown Result = "unknown"
)

// Late is the result of a probe that was not answered in time. The target is busy if what else is asked of it is
// answered: taking it down for that would hand its load to the next. Only what came after the probe began counts. An
// older sign of life says nothing of now, and must not hide a target that hangs, or that nothing reaches any more.
func Late(began, sign time.Time) Result {
	if sign.After(began) {
		return Unknown
	}
	return Failure
}

// Thresholds say how many results it takes to change one's mind. All are at least 1.
type Thresholds struct {
	Down int // failures until up becomes down, even with successes between them
	OK   int // successes in a row until the failures of an up target are forgiven
	Up   int // successes in a row until down becomes up
}

// Defaults were chosen by simulation for probes every 5 s with a timeout of 2 s; see
// docs/adr/002-health-thresholds.md.
func Defaults() Thresholds { return Thresholds{Down: 5, OK: 2, Up: 10} }

// History is what the results so far amount to. The zero value knows nothing yet and counts as up: a
// gateway that has just started must not turn clients away from replicas it has not asked.
type History struct {
	known     bool
	down      bool
	failures  int // while up: not forgiven yet
	successes int // in a row: while up since the last failure, if failures > 0; while down since the last failure
}

// Step adds one result. The very first success or failure decides at once, since nothing speaks against it. Unknown
// changes nothing: it forgives no failure, and brings nobody back.
func Step(t Thresholds, h History, r Result) History {
	ok := r == Success
	switch {
	case r == Unknown:
		return h
	case !h.known:
		return History{known: true, down: !ok}
	case h.down:
		return stepDown(t, h, ok)
	}
	return stepUp(t, h, ok)
}

func stepUp(t Thresholds, h History, ok bool) History {
	switch {
	case !ok:
		h.failures++
		h.successes = 0
	case h.failures > 0:
		h.successes++
	}
	switch {
	case h.failures >= t.Down:
		return History{known: true, down: true}
	case h.successes >= t.OK:
		return History{known: true}
	}
	return h
}

func stepDown(t Thresholds, h History, ok bool) History {
	if !ok {
		return History{known: true, down: true}
	}
	h.successes++
	if h.successes >= t.Up {
		return History{known: true}
	}
	return h
}

// Up reports whether the target counts as up. Unknown counts as up: fail open.
func (h History) Up() bool { return !h.down }

// Known reports whether there was a success or a failure yet.
func (h History) Known() bool { return h.known }

// Steady reports whether all that is remembered agrees with Up.
func (h History) Steady() bool { return h.known && h.failures == 0 && h.successes == 0 }

// ProbesToChange is the least number of further results after which Up can differ; 0 if steady,
// because then nothing is about to change although, of course, anything may begin to.
func (h History) ProbesToChange(t Thresholds) int {
	switch {
	case h.Steady():
		return 0
	case !h.known:
		return 1
	case h.down:
		return t.Up - h.successes
	}
	return t.Down - h.failures
}

// Spacing is the time from the start of one probe to the start of the next: interval (> 0) while
// steady, a fifth of it while not, but at least 1 s, so that doubt is settled in seconds without
// hammering a target in trouble, and never more than interval. A steadily down target is probed as
// seldom as a steadily up one: it may be gone for days.
func (h History) Spacing(interval time.Duration) time.Duration {
	if h.Steady() {
		return interval
	}
	return min(interval, max(time.Second, interval/5))
}

// Health is what decisions need to know. next is the time until the next probe starts; what follows
// it keeps the spacing of an unsteady target. ChangeIn is at least 1 ms where it is not 0, since 0
// means steady.
func (h History) Health(t Thresholds, interval, next time.Duration) router.Health {
	probes := h.ProbesToChange(t)
	if probes == 0 {
		return router.Health{Up: h.Up()}
	}
	least := next + time.Duration(probes-1)*h.Spacing(interval)
	return router.Health{Up: h.Up(), ChangeIn: max(least, time.Millisecond)}
}
