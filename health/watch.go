package health

import (
	"context"
	"time"
)

// troubleGap is the least time between the starts of two probes that trouble brings forward: a flood
// of trouble must not become a flood of probes.
const troubleGap = 500 * time.Millisecond

// watch is what the monitor keeps of one target.
type watch struct {
	// Static after newWatch.
	Target

	trouble chan struct{} // holds at most one: the next probe is to start now
	moved   chan struct{} // holds at most one: next has changed
	sign    sign

	// Guarded by Monitor.mu.
	stop    context.CancelFunc // of its goroutine; nil: it has none yet
	gone    bool               // nobody probes it any more
	offset  time.Duration      // until the first probe
	next    time.Time          // when the next probe is due
	started time.Time          // the last probe that has ended
	history History
	pace    Pace
	text    string    // of the last result
	probed  time.Time // when the last result came
	since   time.Time // when Up last changed, or the first result came
	ends    time.Time // when its certificate does; zero: it showed none
	warned  time.Time // when its end was last told of
}

func newWatch(t Target) *watch {
	return &watch{
		Target:  t,
		trouble: make(chan struct{}, 1),
		moved:   make(chan struct{}, 1),
		sign:    sign{began: time.Now()},
		text:    "not probed yet",
	}
}

// start has the watch followed, until ctx ends or it is dropped. Called with mu held.
func (m *Monitor) start(ctx context.Context, w *watch) {
	ctx, w.stop = context.WithCancel(ctx)
	w.next = time.Now().Add(w.offset)
	m.following.Go(func() { m.follow(ctx, w) })
}

// follow probes one target until ctx ends.
func (m *Monitor) follow(ctx context.Context, w *watch) {
	for m.wait(ctx, w) {
		started := time.Now()
		ends, err := m.probe(ctx, w.Target)
		if ctx.Err() != nil {
			return // our own end says nothing about the target
		}
		m.record(w, err, started, ends)
	}
}

// wait returns when the next probe is due, or earlier for trouble. It is false when ctx ended.
func (m *Monitor) wait(ctx context.Context, w *watch) bool {
	started, next := m.timesOf(w)
	due := time.NewTimer(time.Until(next))
	defer due.Stop()
	trouble, moved := w.trouble, w.moved
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			return true
		case <-moved:
			_, next = m.timesOf(w)
			due.Reset(time.Until(next))
		case <-trouble:
			trouble, moved = nil, nil // nothing puts off what trouble asks for
			due.Reset(time.Until(started.Add(troubleGap)))
		}
	}
}

func (m *Monitor) timesOf(w *watch) (started, next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return w.started, w.next
}

func (m *Monitor) probe(ctx context.Context, t Target) (ends time.Time, err error) {
	m.mu.Lock()
	timeout := m.settings.Timeout
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return certified(ctx, func(ctx context.Context) error { return m.config.probe(ctx, t) })
}

// tell puts a word into a channel that holds at most one.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is there already
	}
}
