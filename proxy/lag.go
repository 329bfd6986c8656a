package proxy

import "time"

// leaveReason says why the rest of a body is asked for elsewhere. It is the label `why` of the metric.
type leaveReason string

const (
	leaveBroken  leaveReason = "broken"  // it broke off
	leaveDown    leaveReason = "down"    // nothing comes, and probes have called the replica down
	leaveStalled leaveReason = "stalled" // nothing comes
	leaveSlow    leaveReason = "slow"    // far less comes than did before, or than another replica gives
)

// A body is slow that brings less than slowFloor bytes a second, and less than this part of what it might.
const (
	slowFloor = 128 << 10
	slowPart  = 1. / 10
)

// mostSlow is how often one body is taken from a replica that is slow: all may be.
const mostSlow = 2

// lag is what is remembered of how a replica keeps up with a body, between two looks.
type lag struct {
	looked time.Time
	moved  int64         // bytes until then
	still  time.Duration // without a byte, while the replica was waited for

	begun time.Time // with this replica
	first int64     // bytes that had moved then

	since  time.Time // from when on nothing but the replica was waited for
	before int64     // bytes that had moved then
}

// bodySeen is what lag sees of a body.
type bodySeen struct {
	moved  int64   // bytes that came from the replica
	client bool    // it is for the client to take what has come
	up     bool    // the replica
	others float64 // bytes a second that another replica gives; 0: not known
	left   bool    // another body has been taken from the replica since this one was looked at
}

func newLag(now time.Time, moved int64) lag {
	return lag{looked: now, moved: moved, begun: now, first: moved, since: now, before: moved}
}

// look judges how a replica keeps up: "" where it does. Nothing is held against it while the client is waited for.
func (g lag) look(l Limits, now time.Time, s bodySeen) (lag, leaveReason) {
	next := g
	next.looked, next.moved = now, s.moved
	next.still += now.Sub(g.looked)
	if s.client || s.moved > g.moved {
		next.still = 0
	}
	if s.client {
		next.since, next.before = now, s.moved
	}
	switch {
	case next.still > 0 && !s.up:
		return next, leaveDown
	case next.still >= l.Still, next.still > 0 && s.left:
		return next, leaveStalled
	case now.Sub(next.since) < l.Slow:
		return next, ""
	}
	rate := float64(s.moved-next.before) / now.Sub(next.since).Seconds()
	might := max(next.rateBefore(), s.others)
	next.since, next.before = now, s.moved
	if rate < slowFloor && rate < slowPart*might {
		return next, leaveSlow
	}
	return next, ""
}

// rateBefore is what came in a second until since.
func (g lag) rateBefore() float64 {
	if took := g.since.Sub(g.begun).Seconds(); took > 0 {
		return float64(g.before-g.first) / took
	}
	return 0
}
