package proxy

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound every wait of an exchange.
type Limits struct {
	FirstByte   time.Duration // of a GET or HEAD, until all replicas that may have it are asked
	Lists       time.Duration // the same of lists of tags and repositories
	Alone       time.Duration // to the first byte, where nobody else is asked; to begin an upload; of those down
	Window      time.Duration // that a replica has to move Least bytes of a body, in either direction
	Silence     time.Duration // that a client has
	Least       int64
	AwaitHealth time.Duration // that a write waits for the probes to decide about a replica that did not answer
	Heal        time.Duration // that a manifest waits for what it names
	Commit      time.Duration // from a request's last byte to its answer, while the replica is up
	Resume      time.Duration // that the rest of a blob is asked for, while nobody goes on with it; 0: it is not
	Still       time.Duration // without a byte of a blob, before another replica is asked for the rest
	Slow        time.Duration // in which a replica is slow, before another one is
}

// DefaultLimits are the usual ones. What another replica may have is asked of it within 5 s, and who is alone has the
// 30 s after which docker gives up by itself; registries list for 20 s and more. A layer may take hours, but a replica
// not below some 500 bytes a second; a client may make what it sends, or do something else with what it gets, for
// minutes (skopeo#2101). Others than docker wait for a commit, and registries on object storage need minutes for large
// blobs. The commit itself takes some of what docker gives it, so healing has less. A client that moves something, and
// less than Least in mostDrips windows, holds a connection and does little else (slowhttptest).
func DefaultLimits() Limits {
	return Limits{
		FirstByte:   4500 * time.Millisecond,
		Lists:       30 * time.Second,
		Alone:       30 * time.Second,
		Window:      30 * time.Second,
		Silence:     5 * time.Minute,
		Least:       16 << 10,
		AwaitHealth: 10 * time.Second,
		Heal:        20 * time.Second,
		Commit:      15 * time.Minute,
		Resume:      30 * time.Second,
		Still:       4 * time.Second,
		Slow:        5 * time.Second,
	}
}

// phase is how far an exchange has come.
type phase int32

const (
	sending   phase = iota // the request's body is on its way
	waiting                // all sent, no answer yet
	receiving              // the answer's body is on its way
	resuming               // its rest is asked for elsewhere
)

var (
	errStalled     = errors.New("too few bytes moved")
	errSlowClient  = fmt.Errorf("%w by the client", errStalled)
	errReplicaDown = errors.New("the replica went down while its answer was awaited")
	errNoAnswer    = errors.New("the replica did not answer in time")
)

// mostDrips is in how many windows a client may move something and less than Least.
const mostDrips = 3

// pace is what judge remembers between two looks at an exchange.
type pace struct {
	phase phase
	since time.Time // when Least bytes had moved, or the wait began
	moved int64     // bytes moved until then

	looked time.Time     // the last time
	slow   time.Duration // since then, waiting for the replica rather than the client

	drip drip
}

func newPace(begins phase, now time.Time) pace {
	return pace{phase: begins, since: now, looked: now, drip: drip{since: now}}
}

// drip counts the windows of a body in which few bytes moved, since one in which Least did. A window without any counts
// for nothing: a client may be silent.
type drip struct {
	since time.Time // when the window began
	moved int64     // bytes moved until then
	few   int       // windows
}

func (d drip) look(l Limits, now time.Time, moved int64) drip {
	if now.Sub(d.since) < l.Window {
		return d
	}
	next := drip{since: now, moved: moved, few: d.few}
	switch in := moved - d.moved; {
	case in >= l.Least:
		next.few = 0
	case in > 0:
		next.few++
	}
	return next
}

// snapshot is what judge sees of an exchange.
type snapshot struct {
	phase  phase
	moved  int64 // bytes, both directions; of an answer those that its client has taken, where that is known
	up     bool  // the replica
	asDown bool  // it was down already when it was asked
	client bool  // it is for the client to move the next bytes
}

// judge looks at an exchange: cut it if the error is not nil. Cutting is by minimum rate and never by
// total time, since layers are large; a wait for a commit goes on while the replica is up.
func (p pace) judge(l Limits, now time.Time, s snapshot) (pace, error) {
	next := pace{phase: s.phase, since: now, moved: s.moved, looked: now, drip: p.drip.look(l, now, s.moved)}
	elapsed, slow := now.Sub(p.since), p.slow
	if !s.client {
		slow += now.Sub(p.looked)
	}
	p.looked, p.slow, p.drip = now, slow, next.drip
	switch {
	case s.phase != p.phase, s.phase == resuming:
		next.drip = drip{since: now, moved: s.moved}
		return next, nil
	case s.phase == waiting && !s.up:
		return p, errReplicaDown
	case s.phase == waiting && (elapsed >= l.Commit || s.asDown && elapsed >= l.Alone):
		return p, errNoAnswer
	case s.phase == waiting:
		return p, nil
	case s.client && p.drip.few >= mostDrips:
		return p, errSlowClient
	case s.moved-p.moved >= l.Least:
		return next, nil
	case slow >= l.Window:
		return p, errStalled
	case elapsed >= l.Silence:
		return p, errSlowClient
	}
	return p, nil
}
