package proxy

import (
	"fmt"
	"time"
)

// Pauses between two rounds of asking others beside a body.
const (
	firstPauseBeside = 2 * time.Second
	mostPauseBeside  = 30 * time.Second
)

// mostSkipped is how many bytes may have come from elsewhere while another replica was asked, for it to be taken.
const mostSkipped = 1 << 20

// look is told how the exchange is by watch, and has another replica looked for where this one lags.
func (b *blobBody) look(now time.Time, s snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if s.phase != receiving {
		b.lag = newLag(now, b.at.Load())
		return
	}
	others, left := b.x.proxy.speeds.others(b.now.replica.Name, now)
	limits := b.x.settings.Limits
	next, why := b.lag.look(limits, now, bodySeen{
		moved: b.at.Load(), client: s.client, up: s.up, others: others, left: now.Sub(left) < limits.Still,
	})
	b.lag = next
	if why == "" || why == leaveSlow && b.slow >= mostSlow || b.seeking || b.leaving != "" || now.Before(b.notBefore) {
		return
	}
	b.seeking = true
	b.pause = min(max(2*b.pause, firstPauseBeside), mostPauseBeside)
	from := b.now
	b.seeks.Go(func() { b.seekBeside(from, why) })
}

// seekBeside looks for a replica that can go on, while the body may yet move on by itself.
func (b *blobBody) seekBeside(now *answerBody, why leaveReason) {
	found, _ := b.seek(false, time.Now().Add(b.x.settings.Limits.Resume))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seeking = false
	b.notBefore = time.Now().Add(b.pause)
	switch {
	case found == nil:
	case b.closed || b.now != now || b.leaving != "" || b.at.Load()-found.at > mostSkipped:
		found.drop()
	default:
		b.found, b.leaving = found, why
		now.cancel(leftError{why})
	}
}

// abandon ends what the body comes from now, which has not moved for as long as that may be.
func (b *blobBody) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving == "" {
		b.leaving = leaveStalled
		b.now.cancel(leftError{leaveStalled})
	}
}

// leftError ends what is read from a replica that was left.
type leftError struct{ why leaveReason }

func (e leftError) Error() string {
	return fmt.Sprintf("the body does not move on (%s), and is asked for elsewhere", e.why)
}
