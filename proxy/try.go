package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
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
	x.progress.cutTry.Store(&cancel) // not while a manifest waits for what it needs
	return x.try(ctx, cancel, x.decided, out, replica)
}

// try asks one replica, and reports trouble so that a probe looks at it at once. The answer's body calls cancel when it
// is closed; without an answer it has been called.
func (x *exchange) try(
	ctx context.Context, cancel context.CancelCauseFunc, d *decision, out *http.Request, replica *router.Replica,
) (got answer) {
	response, err := x.obtain(replica.Name, out.WithContext(ctx))
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

// send puts a request to a replica.
func (x *exchange) send(replica string, out *http.Request) (*http.Response, error) {
	return x.proxy.Upstreams.Send(replica, out, x.in.Header.Get(upstream.HopHeader) != "", x.hints.pass)
}

// never is longer than any request lasts.
const never = 365 * 24 * time.Hour

// trouble tells the monitor, unless it was the client who went away, or its body that broke or stalled, or nobody waits
// any more. What this gateway itself has run out of is for its operator.
func (x *exchange) trouble(replica *router.Replica, err error) {
	if x.clientGone() || x.progress.clientFailed.Load() || errors.Is(err, errNotNeeded) || errors.Is(err, errNoRoom) {
		return
	}
	if x.proxy.OwnShortage(err) {
		x.proxy.Log.Error("this gateway lacks descriptors, ports or memory: raise its limits",
			"replica", replica.Name, "error", err)
		return
	}
	x.proxy.metrics.trouble.WithLabelValues(replica.Name).Inc()
	x.proxy.Log.Info("trouble with a replica", "replica", replica.Name, "kind", x.target.kind, "error", err)
	x.proxy.Trouble(replica.Name)
}
