package proxy

import (
	"context"
	"net/http"
	"time"
)

// mostWaitedOut is how long a replica that answers a push with 429 may want it to wait for it to be asked again here.
// Docker gives up after one 429.
const mostWaitedOut = 10 * time.Second

// waitOut asks a replica once more that has answered a push with 429, when the time has come that it named. A push
// belongs to its replica, so no other is asked in its place.
func (x *exchange) waitOut(out *http.Request, got answer, said *round, begun time.Time) (answer, *round) {
	now := time.Now()
	wait, ok := x.waitsOut(got, now)
	if !ok || now.Add(wait).Sub(begun) >= x.settings.Limits.Alone {
		return got, said
	}
	got.drop()
	select {
	case <-time.After(wait):
	case <-x.ctx.Done():
		return failed(got.Replica, context.Cause(x.ctx)), said
	}
	again := *x.decided
	again.Reason, again.Tries = got.reason, again.Tries[got.Try:got.Try+1]
	x.decided = &again
	return x.askInTurn(out, time.Now().Add(x.patience()))
}

// waitsOut reports whether an answer's client waits here, and how long: not where others are asked, nor with what can
// be sent once only, nor where the replica did not say for how long.
func (x *exchange) waitsOut(got answer, now time.Time) (wait time.Duration, ok bool) {
	if got.err != nil || !got.Throttled() || x.reads() && !x.asksToPush() || !x.repeatable() {
		return 0, false
	}
	wait, ok = retryAfterOf(got.response.Header, now)
	return wait, ok && wait <= mostWaitedOut
}
