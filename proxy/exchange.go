package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// exchange is one request of a client and all that is asked of replicas for it.
type exchange struct {
	// Static after newExchange.
	proxy  *Proxy
	w      http.ResponseWriter
	in     *http.Request
	client netip.Addr
	target target

	// Owned by the handler's goroutine.
	fleet    *router.Fleet // of the decision
	request  router.Request
	query    string // the raw query without the owner
	decision router.Decision
	manifest []byte                // to be put; nil for all else
	needs    []manifest.Descriptor // of it
	held     string                // the owner whose lease it keeps; static while watch runs
	absentAt []*router.Replica     // those that said that they do not have what is asked for
	deniedBy []*router.Replica     // those that said so, perhaps, by a 401 or 403
	pushTo   string                // the replica that a push goes to, where another one said that a part exists
	away     []func()              // each lets in again who deletes
	room     []func()              // each gives back what was taken of Memory
	ctx      context.Context
	reason   router.Reason // of the replica that answered; "" until then
	status   int
	hinted   bool // the repository is what the URL says, not the path
	begun    bool // the answer's status and fields go to the client

	// Written by the handler, read by watch.
	replica atomic.Pointer[router.Replica] // the one being asked
	cutTry  atomic.Pointer[context.CancelCauseFunc]
	phase   atomic.Int32
	moved   atomic.Int64 // bytes, both directions

	// Written by whoever reads the client's body, or by watch.
	reading      atomic.Bool // a read of it is under way
	answering    atomic.Bool // a read of the answer's body is
	clientFailed atomic.Bool // it broke or stalled: no fault of the replica
}

func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{
		proxy:  p,
		w:      w,
		in:     r,
		client: clientAddr(r, p.TrustedProxies),
		target: classify(r.Method, strings.Clone(r.URL.Path)), // what is remembered must not keep the whole request
	}
	x.readOutside()
	return x
}

// decide gathers what the decision needs and asks router.
func (x *exchange) decide() {
	p, now := x.proxy, time.Now()
	owner, query := cutOwner(x.in.URL.RawQuery)
	x.query = query
	if x.target.manifest || x.target.blob {
		owner = "" // it stands in the URLs of uploads and pages only; clients of mirrors copy it from there
	}
	x.fleet = x.present(now)
	placed := p.Map()
	client, _ := placed.Order(x.fleet, x.client)
	gateway := placed.OrderHere(x.fleet, p.Here)
	if gateway == nil {
		gateway = client
	}
	x.request = router.Request{
		Kind:      x.target.kind,
		Head:      x.in.Method == http.MethodHead,
		Named:     p.named(x.in.Host, x.fleet),
		URLOwner:  owner,
		Client:    client,
		Gateway:   gateway,
		OwnerHome: p.OwnerHome,
	}
	if repository := x.target.repository; repository != "" {
		x.request.Lease = p.leases.owner(repository, now)
		x.request.Bound = p.leases.boundTo(repository, x.client, now)
		if x.reads() {
			x.consult()
		}
	}
	x.decision = router.Decide(x.request)
}

// push is what bindings and parts are remembered by: no client names its push in any other way.
func (x *exchange) push() bindingKey { return bindingKey{x.client, x.target.repository} }

// hold keeps the lease while a request that belongs to writing is under way.
func (x *exchange) hold() func() {
	if !x.belongsToWriting() {
		return func() {}
	}
	owner := x.decision.Tries[0].Name
	done, held := x.proxy.leases.open(x.target.repository, owner, time.Now())
	if held || x.proxy.leases.agreed.Owner(x.target.repository) == owner {
		x.held = owner
	}
	return done
}

func (x *exchange) reads() bool {
	return x.in.Method == http.MethodGet || x.in.Method == http.MethodHead
}

func (x *exchange) belongsToWriting() bool {
	return x.request.Named == "" && x.target.repository != "" && (x.target.kind == router.Write || x.target.kind == router.Upload)
}

// forward asks replicas and streams both ways, watched until it returns: what watch does to the
// client's connection must not meet the next request on it.
func (x *exchange) forward() {
	ctx, cut := context.WithCancelCause(context.WithValue(x.in.Context(), exchangeKey{}, x))
	x.ctx = ctx
	// The copy gets the counting body: net/http knows the original by its type, and answers a client
	// that waits for 100 Continue only while it does.
	in := x.in.WithContext(ctx)
	if in.Body == nil || in.Body == http.NoBody || in.Method == http.MethodGet || in.Method == http.MethodHead {
		x.phase.Store(int32(waiting)) // what body there may be with a GET is not passed on
	} else {
		in.Body = &clientBody{in.Body, x}
	}
	watched := make(chan struct{})
	go func() { defer close(watched); x.watch(ctx, cut) }()
	defer func() { cut(nil); <-watched }()
	defer x.passOnTheBeginning()
	x.proxy.reverse.ServeHTTP(finalOnly(x.w, in), in)
}

// finalOnly keeps interim answers from clients of HTTP/1.0, which would take one for the answer (RFC 9110, 15.2).
func finalOnly(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.ProtoAtLeast(1, 1) {
		return w
	}
	return withoutInterim{w}
}

type withoutInterim struct{ http.ResponseWriter }

func (w withoutInterim) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w withoutInterim) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// passOnTheBeginning: ReverseProxy panics when an answer breaks off, and net/http then drops what is in its buffer. For
// the client that may be all of the answer that matters.
func (x *exchange) passOnTheBeginning() {
	why := recover()
	if why == nil {
		return
	}
	aborted, _ := why.(error)
	if x.begun && errors.Is(aborted, http.ErrAbortHandler) { // else nothing was meant to be sent, and a flush would send 200
		_ = http.NewResponseController(x.w).Flush()
	}
	panic(why)
}

// boundTheRest bounds what net/http does after the handler has returned: it reads on for what is left
// of a request's body, and writes what is left of the answer. net/http itself takes the deadlines back
// before the next request on the connection.
func (x *exchange) boundTheRest() {
	client := http.NewResponseController(x.w)
	now, limits := time.Now(), x.proxy.Limits
	if x.ctx == nil || !errors.Is(context.Cause(x.ctx), errStalled) {
		_ = client.SetReadDeadline(now.Add(limits.Window))
	}
	_ = client.SetWriteDeadline(now.Add(limits.Window + limits.Silence))
}

// refuse answers in the gateway's own name.
func (x *exchange) refuse(status int, e ociError) {
	x.status = status
	if x.reason == "" {
		x.reason = x.decision.Reason
	}
	replica := "-"
	if asked := x.replica.Load(); asked != nil {
		replica = asked.Name
	}
	x.w.Header().Set(replicaHeader, headerValue(replica, x.reason))
	if x.in.Header.Get(hopHeader) != "" {
		x.w.Header().Set(hopHeader, "1")
	}
	writeError(x.w, status, e)
}

// refuseToAsk answers where the decision has nobody to ask.
func (x *exchange) refuseToAsk() {
	if x.decision.Reason == router.Deleted {
		x.refuse(http.StatusNotFound, x.unknown())
		return
	}
	x.refuseLostUpload()
}

// refuseLostUpload answers a part that the replica of its upload does not take, because that is down, did not answer, or
// is none of the fleet's. Most clients begin the blob, or the push, anew when the connection breaks. Who comes with the
// same upload again does not, and is told that there is none (docs/request-handling.md has what each client does).
func (x *exchange) refuseLostUpload() {
	x.reason = router.UploadLost
	owner := x.fleet.Replica(x.request.URLOwner)
	if owner != nil {
		x.replica.Store(owner)
		if x.proxy.lost.first("upload "+x.in.URL.Path, time.Now()) {
			x.breakOff()
		}
	}
	e := ociError{Code: codeUploadUnknown, Message: "the replica that holds this upload is lost: start the upload again"}
	if owner != nil {
		e.Detail = map[string]string{"replica": owner.Name}
	}
	x.refuse(http.StatusNotFound, e)
}

// breakOff ends the client's connection without an answer.
func (x *exchange) breakOff() {
	x.status = statusBrokenOff
	panic(http.ErrAbortHandler)
}

// replicaHeader says on every response which replica answered and why. "-" stands for none.
const replicaHeader = "Fairlead-Replica"

func headerValue(replica string, reason router.Reason) string {
	if reason == "" {
		return replica
	}
	return replica + "; reason=" + string(reason)
}

func (x *exchange) log(start time.Time) {
	x.proxy.metrics.observe(x.target.kind, x.reason, x.status)
	log := x.proxy.Log
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	replica := ""
	if asked := x.replica.Load(); asked != nil {
		replica = asked.Name
	}
	log.Debug("request", "method", x.in.Method, "path", x.in.URL.Path, "client", x.client, "kind", x.target.kind,
		"agent", x.in.UserAgent(), "repository", x.target.repository, "replica", replica, "reason", x.reason, "status", x.status,
		"bytes", x.moved.Load(), "took", time.Since(start))
}
