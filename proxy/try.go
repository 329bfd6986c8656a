package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// askOne asks one replica for a write, which watch may cut short, too.
func (x *exchange) askOne(out *http.Request, replica *router.Replica, wait time.Duration) answer {
	ctx, cancel := context.WithCancelCause(out.Context())
	x.progress.asked.Store(replica)
	timer := time.AfterFunc(wait, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	x.allowDeletes()
	if err := x.forbidDeletes(ctx, replica.Name, x.written()...); err != nil {
		cancel(nil)
		return failed(replica, err)
	}
	if x.put.body != nil {
		if err := x.guard(ctx, replica); err != nil {
			cancel(nil)
			if errors.Is(err, errUnsaid) {
				x.trouble(replica, err)
			}
			return failed(replica, err)
		}
		out = withBody(out, x.put.body)
	}
	if x.part != nil && x.part.body != nil {
		turn := *out
		if turn.Body = x.part.body.begin(); turn.Body == nil {
			cancel(nil)
			return failed(replica, errGaveWay)
		}
		out = &turn
	}
	x.progress.cutTry.Store(&cancel) // not while a manifest waits for what it needs
	got := x.try(ctx, cancel, x.decided, out, replica)
	x.noteWrite(got)
	return got
}

// try asks one replica, and reports trouble so that a probe looks at it at once. The answer's body calls cancel when it
// is closed; without an answer it has been called.
func (x *exchange) try(
	ctx context.Context, cancel context.CancelCauseFunc, d *decision, out *http.Request, replica *router.Replica,
) (got answer) {
	leave, err := x.proxy.places.enter(ctx, placeKey{replica.Name, clientPrefix(x.client)})
	if err != nil {
		cancel(nil)
		return failed(replica, err)
	}
	cancel = leaving(cancel, leave)
	response, err := x.obtain(replica, out.WithContext(ctx))
	if err == nil {
		response.Body = newAnswerBody(ctx, cancel, x, replica, response.Body)
		got, err = x.weigh(d, replica, response)
	}
	if err == nil && cutOff(ctx) {
		response.Body.Close() // too late, if only just: what is left of it is lost
		err = context.Cause(ctx)
	}
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		x.trouble(replica, err)
		return failed(replica, err)
	}
	return got
}

// leaving is a cancel that gives a place back, too, once.
func leaving(cancel context.CancelCauseFunc, leave func()) context.CancelCauseFunc {
	leave = sync.OnceFunc(leave)
	return func(cause error) { cancel(cause); leave() }
}

// cutOff reports whether a request was ended before its time. A body that was closed, because it was short and has been
// read, has ended its own.
func cutOff(ctx context.Context) bool {
	why := context.Cause(ctx)
	return why != nil && !errors.Is(why, context.Canceled)
}

// withBody is out with a body that has been taken in already.
func withBody(out *http.Request, body []byte) *http.Request {
	out = out.Clone(out.Context())
	out.Header.Del("Expect")
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return out
}

// send puts a request to the registry that a replica is by the decision, which may just have become another one.
func (x *exchange) send(to *router.Replica, out *http.Request) (*http.Response, error) {
	relayed := x.in.Header.Get(upstream.HopHeader) != ""
	response, err := x.proxy.Upstreams.Send(to.Name, to.Incarnation, out, relayed, x.hints.pass)
	if err == nil {
		x.noteThrottled(to.Name, response)
	}
	return response, err
}

// never is longer than any request lasts.
const never = 365 * 24 * time.Hour

// trouble tells the monitor, unless it was the client who went away, or its body that broke or stalled, or nobody waits
// any more. What this gateway itself has run out of is for its operator, and so is what is damaged: no probe would see
// it.
func (x *exchange) trouble(replica *router.Replica, err error) {
	if x.clientGone() || x.progress.clientFailed.Load() || isAny(err, errNotNeeded, errNoRoom, errDamaged, upstream.ErrGone) ||
		transfer.Throttled(err) {
		return
	}
	if x.proxy.OwnShortage(err) {
		x.proxy.Log.Error("this gateway lacks descriptors, ports or memory: raise its limits",
			"replica", replica.Name, "error", err)
		return
	}
	x.proxy.metrics.trouble.inc(replica.Name)
	x.proxy.Log.Info("trouble with a replica", "replica", replica.Name, "kind", x.target.kind, "error", err)
	x.proxy.Trouble(replica.Name)
}
