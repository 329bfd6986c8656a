package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// watch looks at an exchange until that ends. A replica that leaves a request unanswered costs only the try, so that
// the request can go on elsewhere; a body that stalls costs the whole exchange, unless another replica can go on with
// it.
type watch struct {
	// Static.
	x            *exchange
	every        time.Duration
	cut          context.CancelCauseFunc
	prolongLease func()

	mu    sync.Mutex  // Held while it looks.
	timer *time.Timer // Guarded by mu, as all below.
	over  bool
	pace  pace
	kept  time.Time // when the lease was prolonged
}

// startWatch begins to look. Nothing is done to the client's connection once stop has returned. Most requests end
// before the first look.
func (x *exchange) startWatch(cut context.CancelCauseFunc, prolongLease func()) (stop func()) {
	now := time.Now()
	w := &watch{
		x: x, every: max(x.settings.Limits.Window/30, 10*time.Millisecond), cut: cut, prolongLease: prolongLease,
		pace: newPace(phase(x.progress.phase.Load()), now), kept: now,
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.every, w.look)
	return w.stop
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.x.ctx.Err() != nil {
		return
	}
	x, now := w.x, time.Now()
	if now.Sub(w.kept) >= x.settings.LeaseIdle/4 { // a large layer over a thin line takes longer than a lease lives
		w.prolongLease()
		w.kept = now
	}
	seen, blob := x.snapshot(), x.progress.blob.Load()
	if blob != nil {
		blob.look(now, seen)
	}
	next, why := w.pace.judge(x.settings.Limits, now, seen)
	switch {
	case errors.Is(why, errStalled) && !errors.Is(why, errSlowClient) && seen.phase == receiving && blob != nil:
		blob.abandon()
		next.since, next.slow = now, 0
	case errors.Is(why, errStalled):
		if errors.Is(why, errSlowClient) || x.progress.reading.Load() {
			x.progress.clientFailed.Store(true)
		}
		if errors.Is(why, errSlowClient) && seen.phase == receiving {
			x.resetOnClose()
		}
		w.cut(why)
		x.free(now)
		return
	case why != nil:
		if cutTry := x.progress.cutTry.Load(); cutTry != nil { // none while a manifest waits for what it needs
			(*cutTry)(why)
		}
		next.since, next.slow = now, 0
	}
	w.pace = next
	w.timer.Reset(w.every)
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
