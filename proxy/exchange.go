package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// exchange is one request of a client and all that is asked of replicas for it.
type exchange struct {
	// Static after newExchange.
	proxy  *Proxy
	w      http.ResponseWriter
	in     *http.Request
	client netip.Addr
	fleet  *router.Fleet // read once
	target target

	// Owned by the handler's goroutine.
	request  router.Request
	query    string // the raw query without the owner
	decision router.Decision
	ctx      context.Context
	reason   router.Reason // of the replica that answered; "" until then
	status   int

	// Written by the handler, read by watch.
	replica atomic.Pointer[router.Replica] // the one being asked
	cutTry  atomic.Pointer[context.CancelCauseFunc]
	phase   atomic.Int32
	moved   atomic.Int64 // bytes, both directions

	// Written by whoever reads the client's body, or by watch.
	reading      atomic.Bool // a read of it is under way
	clientFailed atomic.Bool // it broke or stalled: no fault of the replica
}

func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{
		proxy:  p,
		w:      w,
		in:     r,
		client: clientAddr(r, p.TrustedProxies),
		fleet:  p.Fleet(),
		target: classify(r.Method, r.URL.Path),
	}
}

// decide gathers what the decision needs, asks router, and ends a lease whose owner is lost.
func (x *exchange) decide() {
	p, now := x.proxy, time.Now()
	owner, query := cutOwner(x.in.URL.RawQuery)
	x.query = query
	client := x.fleet.Order(p.Locate(x.client))
	gateway := x.fleet.OrderHere(p.Here)
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
	}
	x.decision = router.Decide(x.request)
	if x.decision.LeaseEnds {
		p.leases.end(x.target.repository, x.request.Lease, x.client)
		p.Log.Info("lease ended", "repository", x.target.repository, "owner", x.request.Lease, "reason", x.decision.Reason)
	}
}

// hold keeps the lease while a request that belongs to writing is under way.
func (x *exchange) hold() func() {
	if !x.belongsToWriting() {
		return func() {}
	}
	release := x.proxy.leases.open(x.target.repository, x.decision.Tries[0].Name, time.Now())
	return func() { release(time.Now()) }
}

func (x *exchange) belongsToWriting() bool {
	return x.request.Named == "" && (x.target.kind == router.Write || x.target.kind == router.Upload)
}

// learn remembers what a replica's answer says about who owns the repository, and returns the owner.
// Only what was accepted counts: a stranger's refused push must not steer a repository.
func (x *exchange) learn(replica string, status int) (owner string) {
	p, now := x.proxy, time.Now()
	if x.request.Named != "" {
		return replica
	}
	repository := x.target.repository
	switch accepted := router.Accepted(status); {
	case x.belongsToWriting() && accepted && x.in.Method != http.MethodGet:
		return p.leases.accept(repository, replica, x.client, now)
	case x.target.kind == router.Exists && (accepted || status == http.StatusNotFound):
		p.leases.bind(repository, replica, x.client, now)
	case x.target.kind == router.Ping && accepted:
		for _, name := range pushScopes(x.in.URL.Query()["scope"]) {
			p.leases.bind(name, x.pushReplica(name, now), x.client, now)
		}
	}
	return replica
}

// pushReplica is where a push of this client would go now.
func (x *exchange) pushReplica(repository string, now time.Time) string {
	r := x.request
	r.Kind, r.URLOwner = router.Exists, ""
	r.Lease = x.proxy.leases.owner(repository, now)
	r.Bound = x.proxy.leases.boundTo(repository, x.client, now)
	return router.Decide(r).Tries[0].Name
}

const maxScopes = 8 // docker asks for two: the repository, and the one that it mounts from

// pushScopes are the repositories that a token request asks to push to: scope=repository:NAME:pull,push
// (distribution's token specification; several scopes in one parameter are split by spaces).
func pushScopes(params []string) []string {
	var names []string
	for scope := range strings.FieldsSeq(strings.Join(params, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		i := strings.LastIndexByte(rest, ':')
		if kind != "repository" || i < 0 || len(names) == maxScopes {
			continue
		}
		name, actions := rest[:i], ","+rest[i+1:]+","
		if strings.Contains(actions, ",push,") && validRepository(name) {
			names = append(names, name)
		}
	}
	return names
}

// watch looks at the exchange until it ends. A replica that leaves a request unanswered costs only
// the try, so that the request can go on elsewhere; a body that stalls costs the whole exchange.
func (x *exchange) watch(ctx context.Context, cut context.CancelCauseFunc) {
	tick := time.NewTicker(max(x.proxy.Limits.Window/30, 10*time.Millisecond))
	defer tick.Stop()
	p := pace{phase(x.phase.Load()), time.Now(), 0}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			next, why := p.judge(x.proxy.Limits, now, phase(x.phase.Load()), x.moved.Load(), x.replicaUp())
			switch {
			case errors.Is(why, errStalled):
				if x.reading.Load() {
					x.clientFailed.Store(true)
				}
				cut(why)
				x.free(now)
				return
			case why != nil:
				(*x.cutTry.Load())(why)
				next.since = now
			}
			p = next
		}
	}
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
	asked := x.replica.Load()
	if asked == nil {
		return true
	}
	now := x.proxy.Fleet().Replica(asked.Name)
	return now != nil && (now.Upstream.Up || !asked.Upstream.Up)
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
	writeError(x.w, status, e)
}

// refuseLostUpload: a replica that the fleet does not have will not come back; of one that is down a
// client is told to try again, which is what most clients survive.
func (x *exchange) refuseLostUpload() {
	e := ociError{Code: codeUploadUnknown, Message: "the replica that holds this upload is lost: start the upload again"}
	status := http.StatusNotFound
	if owner := x.fleet.Replica(x.request.URLOwner); owner != nil {
		x.replica.Store(owner)
		status = http.StatusServiceUnavailable
		e.Detail = map[string]string{"replica": owner.Name}
	}
	x.refuse(status, e)
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

// clientBody is the request's body: it counts what is read, says when the end is reached, and whose
// fault it is if that never comes.
type clientBody struct {
	io.ReadCloser
	x *exchange
}

func (b *clientBody) Read(buf []byte) (int, error) {
	b.x.reading.Store(true)
	n, err := b.ReadCloser.Read(buf)
	b.x.reading.Store(false)
	b.x.moved.Add(int64(n))
	switch {
	case err == io.EOF:
		b.x.phase.Store(int32(waiting))
	case err != nil:
		b.x.clientFailed.Store(true)
	}
	return n, err
}

// cause is why a round trip ended: the reason of a cut rather than "context canceled".
func (x *exchange) cause(err error) error {
	if why := context.Cause(x.ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	return err
}
