package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
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
	deadline := time.Now().Add(x.proxy.Limits.FirstByte)
	if x.putsManifest() {
		if err := x.readManifest(out); err != nil {
			return nil, err
		}
	}
	kept := x.askEach(out, deadline)
	for x.refusedAsReadOnly(kept) { // each replica once, since it is known for what it is then
		x.proxy.readOnly.note(x.target.repository, kept.replica.Name, time.Now())
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
	kept = x.existsElsewhere(out, kept)
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

func (x *exchange) askEach(out *http.Request, deadline time.Time) (kept answer) {
	again := x.repeatable()
	var absent []*router.Replica
	for i, replica := range x.decision.Tries {
		if slices.ContainsFunc(absent, replica.Shares) {
			continue // it has the same content
		}
		got := x.askOne(out, replica, x.wait(deadline, len(x.decision.Tries)-i-1))
		got.reason = x.reasonFor(i, kept)
		final := x.final(got, kept)
		if got.absent() {
			absent = append(absent, replica)
		}
		kept = kept.or(got, final)
		if final || !again || x.ctx.Err() != nil {
			break
		}
	}
	return kept
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
	case http.MethodPost:
		return x.target.kind == router.Write && x.in.ContentLength == 0
	}
	return false
}

func (x *exchange) reasonFor(try int, before answer) router.Reason {
	switch {
	case try == 0 || x.decision.Reason == router.LastResort:
		return x.decision.Reason
	case before.absent() || before.lesser:
		return router.Fallthrough
	}
	return router.Failover
}

// wait is how long the next replica may take for its first byte: half of what is left while there are
// others to ask. 0: as long as judge allows.
func (x *exchange) wait(deadline time.Time, others int) time.Duration {
	if x.in.Method != http.MethodGet && x.in.Method != http.MethodHead {
		return 0
	}
	left := max(time.Until(deadline), time.Millisecond)
	if others > 0 {
		left /= 2
	}
	return left
}

// askOne asks one replica, and reports trouble so that a probe looks at it at once.
func (x *exchange) askOne(out *http.Request, replica *router.Replica, wait time.Duration) answer {
	up := x.proxy.upstreams[replica.Name]
	if x.manifest != nil {
		if err := x.guard(replica); err != nil {
			if errors.Is(err, errUnsaid) {
				x.trouble(replica, err)
			}
			return answer{replica: replica, err: err}
		}
		out = withBody(out, x.manifest)
	}
	ctx, cancel := context.WithCancelCause(out.Context())
	x.cutTry.Store(&cancel)
	x.replica.Store(replica)
	timer := time.AfterFunc(cmp.Or(wait, never), func() { cancel(errNoAnswer) })
	response, err := x.send(up, out.WithContext(ctx))
	got := answer{replica: replica, response: response}
	if err == nil {
		response.Body = &answerBody{ReadCloser: response.Body, x: x, replica: replica, cancel: cancel}
		err = x.weigh(&got)
	}
	if !timer.Stop() && err == nil {
		response.Body.Close() // too late, if only just: what is left of it has been cut off
		err = errNoAnswer
	}
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		x.trouble(replica, err)
		return answer{replica: replica, err: err}
	}
	return got
}

// withBody is out with a body that has been taken in already.
func withBody(out *http.Request, body []byte) *http.Request {
	out = out.Clone(out.Context())
	out.Header.Del("Expect")
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return out
}

// never is longer than any request lasts.
const never = 365 * 24 * time.Hour

// request is out as this replica gets it.
func (u *upstream) request(out *http.Request) *http.Request {
	address := *out.URL
	address.Scheme, address.Host = u.URL.Scheme, u.URL.Host
	out.URL = &address
	out.Host = cmp.Or(u.Host, out.Host)
	return out
}

// trouble tells the monitor, unless it was the client who went away, or its body that broke or stalled.
func (x *exchange) trouble(replica *router.Replica, err error) {
	if x.clientGone() || x.clientFailed.Load() {
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
	again := x.askOne(out, replica, 0)
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
	n, err := b.ReadCloser.Read(buf)
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
