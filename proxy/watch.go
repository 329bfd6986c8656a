package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// watch looks at the exchange until it ends. A replica that leaves a request unanswered costs only
// the try, so that the request can go on elsewhere; a body that stalls costs the whole exchange.
func (x *exchange) watch(ctx context.Context, cut context.CancelCauseFunc, prolongLease func()) {
	tick := time.NewTicker(max(x.proxy.Limits.Window/30, 10*time.Millisecond))
	defer tick.Stop()
	now := time.Now()
	p, kept := newPace(phase(x.progress.phase.Load()), now), now
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.Sub(kept) >= x.proxy.LeaseIdle/4 { // a large layer over a thin line takes longer than a lease lives
				prolongLease()
				kept = now
			}
			seen := x.snapshot()
			next, why := p.judge(x.proxy.Limits, now, seen)
			switch {
			case errors.Is(why, errStalled):
				if errors.Is(why, errSlowClient) || x.progress.reading.Load() {
					x.progress.clientFailed.Store(true)
				}
				if errors.Is(why, errSlowClient) && seen.phase == receiving {
					x.resetOnClose()
				}
				cut(why)
				x.free(now)
				return
			case why != nil:
				if cutTry := x.progress.cutTry.Load(); cutTry != nil { // none while a manifest waits for what it needs
					(*cutTry)(why)
				}
				next.since, next.slow = now, 0
			}
			p = next
		}
	}
}

// snapshot is the exchange as it is now. While a body is on its way, whoever is not read from is written to.
func (x *exchange) snapshot() snapshot {
	s := snapshot{phase: phase(x.progress.phase.Load()), moved: x.progress.moved.Load(), up: x.replicaUp()}
	asked := x.progress.asked.Load()
	s.asDown = asked != nil && !asked.Upstream.Up
	switch s.phase {
	case sending:
		s.client = x.progress.reading.Load()
	case receiving:
		s.client = !x.progress.answering.Load()
		if taken, known := x.taken(); known {
			s.moved = taken
		}
	}
	return s
}

// free ends a read of the client's body and a write to the client that would block for ever: no
// handler can return while one of them runs. A second is left for the few bytes of the error.
func (x *exchange) free(now time.Time) {
	client := http.NewResponseController(x.w)
	_ = client.SetReadDeadline(now)
	_ = client.SetWriteDeadline(now.Add(time.Second))
}

// replicaUp reads the newest fleet, not the one of the decision: news is what it waits for.
func (x *exchange) replicaUp() bool {
	asked := x.progress.asked.Load()
	if asked == nil {
		return true
	}
	now := x.proxy.Fleet().Replica(asked.Name)
	return now != nil && (now.Upstream.Up || !asked.Upstream.Up)
}

// clientBody is the request's body: it counts what is read, says when the end is reached, and whose
// fault it is if that never comes.
type clientBody struct {
	io.ReadCloser
	x *exchange
}

func (b *clientBody) Read(buf []byte) (int, error) {
	b.x.progress.reading.Store(true)
	n, err := b.ReadCloser.Read(buf)
	b.x.progress.reading.Store(false)
	b.x.progress.moved.Add(int64(n))
	switch {
	case err == io.EOF:
		// An answer may have begun before the request has ended; there is no way back from that.
		b.x.progress.phase.CompareAndSwap(int32(sending), int32(waiting))
	case err != nil:
		b.x.progress.clientFailed.Store(true)
	}
	return n, err
}

// clientGone reports whether the client has left. net/http ends the request's context when the connection can no longer
// be read, which is also what free does to one that stalls.
func (x *exchange) clientGone() bool {
	return x.in.Context().Err() != nil && !errors.Is(context.Cause(x.ctx), errStalled)
}

// cause is why a round trip ended: the reason of a cut rather than "context canceled".
func (x *exchange) cause(err error) error {
	if why := context.Cause(x.ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	return err
}
