package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// exchange is one request of a client and all that is asked of replicas for it.
type exchange struct {
	// Static after newExchange.
	proxy    *Proxy
	settings *Settings // of the moment when it began
	w        http.ResponseWriter
	in       *http.Request
	client   netip.Addr
	urlEmpty bool // it says that nothing of its upload has been sent

	// Owned by the handler's goroutine.
	urlOwner  string // the mark of the replica that the URL names; another one once its upload is begun again
	query     string // the raw query without what is ours in it; the new upload's then
	target    target // static, but for a repository that only the URL says: see adoptRepository
	hinted    bool   // the repository is what the URL says, not the path
	ctx       context.Context
	decided   *decision // replaced as a whole where a request is decided anew
	put       manifestPut
	part      *part         // nil: what is sent to an upload, if anything, is not kept
	noDeletes []func()      // each lets in again who deletes
	reserved  []func()      // each gives back what was taken of Memory
	reason    router.Reason // of the replica that answered; "" until then
	status    int
	begun     bool      // the answer's status and fields go to the client
	answered  time.Time // when they did; zero: they have not
	refused   ociError  // what the gateway has answered in its own name
	brokenOff bool      // the answer, or the connection

	hints    hints
	progress progress
}

// manifestPut is the manifest that a request puts.
type manifestPut struct {
	body  []byte                // nil: it puts none, or has not been read
	needs []manifest.Descriptor // what it names
}

// progress is what watch reads of an exchange, while others write it.
type progress struct {
	// Written by the handler.
	asked  atomic.Pointer[router.Replica] // the one being asked
	cutTry atomic.Pointer[context.CancelCauseFunc]
	phase  atomic.Int32
	moved  atomic.Int64 // bytes, both directions
	sent   atomic.Int64 // bytes of the answer's body, to the client
	blob   atomic.Pointer[blobBody]

	// Written by whoever reads the client's body.
	received atomic.Int64 // bytes of it

	// Written by whoever reads the client's body, or by watch.
	reading      atomic.Bool // a read of it is under way
	answering    atomic.Bool // a read of the answer's body is
	clientFailed atomic.Bool // it broke or stalled: no fault of the replica
}

func (p *Proxy) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	m, query := cutMarks(r.URL.RawQuery)
	settings := p.settings.Load()
	x := &exchange{
		proxy:    p,
		settings: settings,
		w:        w,
		in:       r,
		client:   clientAddr(r, settings.TrustedProxies),
		query:    query,
		urlOwner: m.owner,
		urlEmpty: m.upload == uploadEmpty,
		target:   classify(r.Method, strings.Clone(r.URL.Path)), // what is remembered must not keep the whole request
		decided:  &decision{},
		hints:    hints{none: !r.ProtoAtLeast(1, 1)},
	}
	if readableOutside(r.URL.Path) && m.owner != "" && m.repository != "" && oci.IsRepository(m.repository) {
		x.target, x.hinted = target{kind: router.Upload, repository: strings.Clone(m.repository)}, true
	}
	return x
}

// pushKey is what bindings and pushes are remembered by: no client names its push in any other way.
func (x *exchange) pushKey() pushKey { return pushKey{x.client, x.target.repository} }

// keepLease keeps the lease from ending while a request that belongs to writing is under way, until done is called.
// prolong has it last longer.
func (x *exchange) keepLease() (prolong, done func()) {
	if !x.belongsToWriting() || len(x.decided.Tries) == 0 {
		return func() {}, func() {}
	}
	leases, repository, owner := x.proxy.leases, x.target.repository, x.decided.Tries[0].Name
	done, held := leases.open(repository, owner, time.Now())
	if agreed, ended := leases.agreedOwner(repository, time.Now()); !held && (agreed != owner || ended) {
		return func() {}, done
	}
	return func() { leases.agreed.Keep(repository, owner) }, done
}

func (x *exchange) reads() bool {
	return x.in.Method == http.MethodGet || x.in.Method == http.MethodHead
}

func (x *exchange) belongsToWriting() bool {
	return x.decided.request.Named == "" && x.target.repository != "" &&
		(x.target.kind == router.Write || x.target.kind == router.Upload)
}

// boundTheRest bounds what net/http does after the handler has returned: it reads on for what is left
// of a request's body, and writes what is left of the answer. net/http itself takes the deadlines back
// before the next request on the connection.
func (x *exchange) boundTheRest() {
	client := http.NewResponseController(x.w)
	now, limits := time.Now(), x.settings.Limits
	if x.ctx == nil || !errors.Is(context.Cause(x.ctx), errStalled) {
		_ = client.SetReadDeadline(now.Add(limits.Window))
	}
	_ = client.SetWriteDeadline(now.Add(limits.Window + limits.Silence))
}
