package proxy

import (
	"errors"
	"time"
)

// Limits bound every wait of an exchange.
type Limits struct {
	Dial      time.Duration // to connect to a replica, and again for its TLS handshake
	FirstByte time.Duration // of a GET or HEAD, over all replicas tried
	Window    time.Duration // over which a body must move at least Least bytes, in either direction
	Least     int64
	Outlive   time.Duration // that a write waits for the probes to decide about a replica that did not answer
	Heal      time.Duration // that a manifest waits for its parts
	Commit    time.Duration // from a request's last byte to its answer, while the replica is up
}

// DefaultLimits: the first byte of a GET comes within 5 s or the client is told; a layer may take
// hours, but not below some 500 bytes a second; docker gives up on a commit by itself after 30 s,
// others wait, and registries on object storage need minutes for large blobs. The commit itself takes
// some of what docker gives it, so healing has less.
func DefaultLimits() Limits {
	return Limits{
		Dial:      2 * time.Second,
		FirstByte: 4500 * time.Millisecond,
		Window:    30 * time.Second,
		Least:     16 << 10,
		Outlive:   10 * time.Second,
		Heal:      20 * time.Second,
		Commit:    15 * time.Minute,
	}
}

// phase is how far an exchange has come.
type phase int32

const (
	sending   phase = iota // the request's body is on its way
	waiting                // all sent, no answer yet
	receiving              // the answer's body is on its way
)

var (
	errStalled     = errors.New("too few bytes moved")
	errReplicaDown = errors.New("the replica went down while its answer was awaited")
	errNoAnswer    = errors.New("the replica did not answer in time")
)

// pace is what judge remembers between two looks at an exchange.
type pace struct {
	phase phase
	since time.Time // when the present window, or the wait, began
	moved int64     // bytes moved until then
}

// judge looks at an exchange: cut it if the error is not nil. Cutting is by minimum rate and never by
// total time, since layers are large; a wait for a commit goes on while the replica is up.
func (p pace) judge(l Limits, now time.Time, ph phase, moved int64, up bool) (pace, error) {
	next := pace{ph, now, moved}
	elapsed := now.Sub(p.since)
	switch {
	case ph != p.phase:
		return next, nil
	case ph == waiting && !up:
		return p, errReplicaDown
	case ph == waiting && elapsed >= l.Commit:
		return p, errNoAnswer
	case ph == waiting || elapsed < l.Window:
		return p, nil
	case moved-p.moved < l.Least:
		return p, errStalled
	}
	return next, nil
}
