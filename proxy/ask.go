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

// ask sends a request to the replicas of its decision in turn, as far as it is safe to, and returns
// the answer that the client gets. It is the transport of the ReverseProxy.
func ask(out *http.Request) (*http.Response, error) {
	x := exchangeOf(out)
	if x == nil {
		return nil, errNoExchange
	}
	best, err := x.askInTurn(out)
	if err != nil {
		return nil, err
	}
	x.phase.Store(int32(receiving))
	x.status = best.StatusCode
	return best, nil
}

// askInTurn: a success is the answer; else what a replica said that is not a 404, because it may be
// the one that has it; a 404 only if every replica asked has answered so. Of these the one that counts is that of the
// lease's owner: others may never have heard of the repository.
func (x *exchange) askInTurn(out *http.Request) (*http.Response, error) {
	deadline := time.Now().Add(x.patience())
	defer x.letIn()
	if x.putsManifest() {
		if err := x.readManifest(out); err != nil {
			return nil, err
		}
	}
	kept := x.askEach(out, deadline)
	for x.refusedAsReadOnly(kept) { // each replica once, since it is known for what it is then
		whose := x.target.repository
		if failsWrites(kept.response.StatusCode) {
			whose = x.ownWrites()
		}
		x.proxy.readOnly.note(whose, kept.replica.Name, time.Now())
		x.decide()
		kept.response.Body.Close()
		kept = x.askEach(out, deadline)
	}
	until := time.Now().Add(x.proxy.Limits.Outlive)
	if x.in.Method == http.MethodHead {
		until = deadline
	}
	if x.outlives(kept, until) {
		if x.decide(); len(x.decision.Tries) > 0 {
			kept = x.askEach(out, later(deadline, time.Now().Add(time.Second)))
		}
	}
	x.noteFailure(kept)
	x.noteMissed()
	kept = x.existsElsewhere(out, kept)
	kept = x.unlessHeld(kept)
	x.replica.Store(kept.replica)
	x.reason = kept.reason
	if kept.err != nil {
		return nil, kept.err
	}
	response, err := x.settle(out, kept)
	if err != nil {
		return nil, err
	}
	return response, nil
}

// patience is within which a read has asked all that may have it.
func (x *exchange) patience() time.Duration {
	if x.lists() {
		return x.proxy.Limits.Lists
	}
	return x.proxy.Limits.FirstByte
}

// lists tags or repositories.
func (x *exchange) lists() bool {
	return x.target.kind == router.Fresh && x.target.reference == "" || x.in.URL.Path == "/v2/_catalog"
}

func (x *exchange) askEach(out *http.Request, deadline time.Time) answer {
	if x.reads() {
		return x.readInTurn(out, time.Until(deadline))
	}
	return x.writeInTurn(out)
}

// writeInTurn asks one after the other, as far as that does no harm. Those that are down share what one would be given:
// it is likelier that they are than that all the probes are wrong.
func (x *exchange) writeInTurn(out *http.Request) answer {
	again, tries := x.repeatable(), x.decision.Tries
	lastResort := time.Now().Add(x.proxy.Limits.Alone)
	var kept choice
	for i, replica := range tries {
		wait := never
		switch {
		case x.decision.Reason == router.LastResort && again:
			wait = max(time.Until(lastResort)/time.Duration(len(tries)-i), time.Millisecond)
		case x.beginsUpload():
			wait = x.proxy.Limits.Alone
		}
		got := x.askOne(out, replica, wait)
		got.try, got.reason = i, x.reasonFor(i, kept)
		final := x.final(got, kept.best)
		kept.add(got, final)
		if final || !again || x.ctx.Err() != nil {
			break
		}
	}
	return kept.best
}

// beginsUpload: nothing is stored yet, so that there is no reason to wait for long.
func (x *exchange) beginsUpload() bool {
	return x.in.Method == http.MethodPost && x.target.kind == router.Write && x.in.ContentLength == 0
}

// repeatable: asking again elsewhere does no harm. Reads do none; an upload that was started and not
// used is swept up by its registry; a manifest is what its digest says wherever it is put.
func (x *exchange) repeatable() bool {
	if x.manifest != nil {
		return true
	}
	switch x.in.Method {
	case http.MethodGet, http.MethodHead:
		return true
	}
	return x.beginsUpload()
}

// reasonFor: before is what was heard until then.
func (x *exchange) reasonFor(try int, before choice) router.Reason {
	switch {
	case try == 0 || x.decision.Reason == router.LastResort:
		return x.decision.Reason
	case len(before.absent) > 0 || before.best.lesser || len(before.denials) > 0:
		return router.Fallthrough
	}
	return router.Failover
}

// askOne asks one replica for a write, which watch may cut short, too.
func (x *exchange) askOne(out *http.Request, replica *router.Replica, wait time.Duration) answer {
	ctx, cancel := context.WithCancelCause(out.Context())
	x.replica.Store(replica)
	timer := time.AfterFunc(wait, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	x.letIn()
	if err := x.keepAway(ctx, replica.Name, x.puts()...); err != nil {
		cancel(nil)
		return answer{replica: replica, err: err}
	}
	if x.manifest != nil {
		if err := x.guard(ctx, replica); err != nil {
			cancel(nil)
			if errors.Is(err, errUnsaid) {
				x.trouble(replica, err)
			}
			return answer{replica: replica, err: err}
		}
		out = withBody(out, x.manifest)
	}
	x.cutTry.Store(&cancel) // not while a manifest waits for its parts
	return x.try(ctx, cancel, out, replica)
}

// try asks one replica, and reports trouble so that a probe looks at it at once. The answer's body calls cancel when it is
// closed; without an answer it has been called.
func (x *exchange) try(ctx context.Context, cancel context.CancelCauseFunc, out *http.Request, replica *router.Replica) answer {
	got := answer{replica: replica}
	response, err := x.obtain(replica.Name, out.WithContext(ctx))
	if err == nil {
		got.response = response
		response.Body = &answerBody{ReadCloser: response.Body, x: x, replica: replica, cancel: cancel}
		err = x.weigh(&got)
	}
	if err == nil && cutOff(ctx) {
		response.Body.Close() // too late, if only just: what is left of it is lost
		err = context.Cause(ctx)
	}
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		x.trouble(replica, err)
		return answer{replica: replica, err: err}
	}
	return got
}

// cutOff: a body that was closed, because it was short and has been read, has ended its own request.
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
	return x.proxy.Upstreams.Send(replica, out, x.in.Header.Get(upstream.HopHeader) != "")
}

// never is longer than any request lasts.
const never = 365 * 24 * time.Hour

// trouble tells the monitor, unless it was the client who went away, or its body that broke or stalled, or nobody waits
// any more. What this gateway itself has run out of is for its operator.
func (x *exchange) trouble(replica *router.Replica, err error) {
	if x.clientGone() || x.clientFailed.Load() || errors.Is(err, errNotNeeded) || errors.Is(err, errNoRoom) {
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

// settle learns from the answer. Where two pushes began at once at two replicas, the first accepted
// one owns the repository, and the other is begun again there before its client sends a byte. Where
// gateways agree on an owner that this one cannot reach, the push goes on where it was accepted.
func (x *exchange) settle(out *http.Request, got answer) (*http.Response, error) {
	if x.deletes() {
		return x.settleDelete(out, got)
	}
	owner, err := x.take(got)
	replica := x.fleet.Replica(owner)
	if err != nil || !x.beginsAgain(got.replica.Name, replica) {
		return got.response, err
	}
	got.response.Body.Close()
	x.reason = router.Leased
	x.proxy.metrics.begunAgain.Inc()
	again := x.askOne(out, replica, x.proxy.Limits.Alone)
	if again.err != nil {
		return nil, again.err
	}
	_, err = x.take(again)
	return again.response, err
}

// beginsAgain: a write that one replica accepted belongs to another, and can be sent there.
func (x *exchange) beginsAgain(accepted string, owner *router.Replica) bool {
	return owner.Readable() && owner.Name != accepted && !owner.ReadOnly && x.target.kind == router.Write && x.repeatable()
}

// take makes an answer fit for the client, and only then learns from it: what we refuse to pass on has
// not been accepted as far as the client knows.
func (x *exchange) take(got answer) (owner string, err error) {
	if err := x.rewriteLocation(got.response, got.replica.Name); err != nil {
		got.response.Body.Close()
		return "", err
	}
	owner, err = x.learn(got.replica.Name, got.response)
	if err != nil {
		got.response.Body.Close()
	}
	return owner, err
}

// answerBody counts the bytes of an answer, and reports a replica that breaks off in its middle.
type answerBody struct {
	io.ReadCloser
	x       *exchange
	replica *router.Replica
	cancel  context.CancelCauseFunc
}

func (b *answerBody) Read(buf []byte) (int, error) {
	b.x.answering.Store(true)
	n, err := b.ReadCloser.Read(buf)
	b.x.answering.Store(false)
	b.x.moved.Add(int64(n))
	if err != nil && err != io.EOF {
		b.x.trouble(b.replica, err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
