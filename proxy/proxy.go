// Package proxy sends registry requests to the replica that router decides on, and streams both ways:
// it classifies, remembers who owns which repository's writes, asks, rewrites what names a place,
// and bounds every wait. docs/request-handling.md tells it in the same order.
package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// Upstream is how a gateway reaches a replica.
type Upstream struct {
	Name string
	URL  *url.URL
	Host string      // Host to send; "" keeps the client's
	TLS  *tls.Config // for https; nil is the system's
}

// Config is what a Proxy needs. All fields but Here, Paths, TrustedProxies, OwnerHome, Memory,
// OwnWrites, Agreement, Missed, Pulled and Healed are required.
type Config struct {
	Hostname       string
	Here           string // the replica beside this gateway; "" if there is none
	Upstreams      []Upstream
	Paths          []string
	TrustedProxies []netip.Prefix
	LeaseIdle      time.Duration
	OwnerHome      bool
	Limits         Limits
	MaxManifest    int64 // bytes; a larger one is refused. 0 is transfer.DefaultMaxManifest
	MaxConns       int   // to each replica, at once; 0 is MaxUpstreamConns
	MaxIdleConns   int   // of them, kept for the next request; 0 is MaxIdleUpstreamConns
	Memory         Memory
	Map            func() *router.Map // of the fleet's replicas
	Fleet          func() *router.Fleet
	Trouble        func(replica string)               // must not block
	Alive          func(replica string, at time.Time) // what it sent came after at; for each read: must not block
	OwnShortage    func(error) bool                   // it comes of what this gateway has run out of
	Record         Record
	Committed      func(repository, digest, replica string)    // of each blob that a client pushes; must not block
	Missed         func(what ledger.Reference, replica string) // which the record says to have it answered 404; must not block
	OwnWrites      OwnWrites
	Agreement      Agreement // nil: this gateway decides alone
	Detour         Detour
	Pulled         func(replica string, nearest bool, bytes int) // of answers' bodies that clients get; nearest to the client
	Healed         func(source, target string, bytes int)        // from a replica to another, for a push
	Registerer     prometheus.Registerer
	Log            *slog.Logger
}

// Detour is the way to a replica whose upstream this gateway cannot reach while others can: through its
// front, where another gateway stands. The zero value has none.
type Detour struct {
	Front  func(replica string) (address string, ok bool) // host:port of a front to go through, where that is needed
	Scheme string
	TLS    *tls.Config
}

// Proxy is an http.Handler for the clients' listener.
type Proxy struct {
	// Static after New.
	Config
	upstreams map[string]*upstream
	detour    strict
	reverse   *httputil.ReverseProxy
	metrics   *metrics
	room      *room

	leases      *leases
	parts       *parts
	resolutions *resolutions
	open        *openDoors
	readOnly    *readOnly
	lost        *lost
	healer      *healer
}

type upstream struct {
	Upstream
	transport strict
	piece     *transfer.Piece
}

// New makes a proxy over the replicas that the file names.
func New(c Config) *Proxy {
	c.MaxManifest = cmp.Or(c.MaxManifest, transfer.DefaultMaxManifest)
	c.MaxConns, c.MaxIdleConns = cmp.Or(c.MaxConns, MaxUpstreamConns), cmp.Or(c.MaxIdleConns, MaxIdleUpstreamConns)
	p := &Proxy{
		Config: c, upstreams: map[string]*upstream{}, leases: newLeases(c.LeaseIdle, c.Agreement), parts: newParts(c.LeaseIdle),
		resolutions: newResolutions(), open: newOpenDoors(), readOnly: newReadOnly(), lost: newLost(c.LeaseIdle),
	}
	p.room = newRoom(c.Memory.Complete(), c.Limits.FirstByte, c.Registerer)
	p.metrics = newMetrics(c.Registerer, func() float64 { return float64(p.leases.countHeld()) })
	for _, u := range c.Upstreams {
		way := newLively(newTransport(u.TLS, c.Limits, c.MaxConns, c.MaxIdleConns), u, c.Limits, c.Alive)
		whole(way.pool)
		p.upstreams[u.Name] = &upstream{u, strict{way}, &transfer.Piece{}}
	}
	detour := newTransport(c.Detour.TLS, c.Limits, c.MaxConns, c.MaxIdleConns)
	whole(detour.pool)
	p.detour = strict{detour}
	p.OwnWrites.complete()
	p.healer = newHealer(p)
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      roundTripper(ask),
		ModifyResponse: modifyResponse,
		ErrorHandler:   handleError,
		BufferPool:     newBuffers(),
		ErrorLog:       slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return p
}

// newTransport keeps to HTTP/1.1, which costs half the CPU per byte of HTTP/2, and never asks for
// compression that the client did not ask for: digests are over the bytes as stored. Idle
// connections go before the 60 s after which common load balancers drop them without a word.
func newTransport(t *tls.Config, l Limits, most, idle int) *resending {
	return newResending(&http.Transport{
		DialContext:            (&net.Dialer{Timeout: l.Dial}).DialContext,
		TLSClientConfig:        t,
		TLSHandshakeTimeout:    l.Alone, // whoever takes a connection is there
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idle,
		MaxConnsPerHost:        most,
		IdleConnTimeout:        30 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}, l.Dial)
}

// Bounds of the connections to one replica, where descriptors are not short: an HTTP/2 client may ask for hundreds of
// things at once. What waits for one is bounded as what waits for an answer is.
const (
	MaxUpstreamConns     = 2048
	MaxIdleUpstreamConns = 64
)

// bufferSize: fewer, larger copies; a layer has megabytes. It is what an answer is copied with, while it is. The
// buffers that a connection to a replica keeps are net/http's small ones: what is larger passes them by.
const bufferSize = 128 << 10

type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}}
}

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(s []byte) { b.pool.Put(&s) }

// Leases lists this gateway's own live leases, for people; Lease is that of one repository, or the zero value.
func (p *Proxy) Leases() []LeaseInfo               { return p.leases.list(time.Now()) }
func (p *Proxy) Lease(repository string) LeaseInfo { return p.leases.info(repository, time.Now()) }

// Reach is a replica as requests reach it, for what is done there in the gateway's own name.
func (p *Proxy) Reach(replica string) transfer.Replica { return p.reach(replica, p.Hostname) }

// Close ends what is being copied between replicas, and drops idle connections to them.
func (p *Proxy) Close() {
	p.healer.close()
	for _, u := range p.upstreams {
		u.transport.CloseIdleConnections()
	}
	p.detour.CloseIdleConnections()
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := p.newExchange(w, r)
	defer x.log(time.Now())
	defer x.boundTheRest()
	leave, err := p.room.enter(x.client, p.room.needs(r), x.target.kind == router.Ping && x.reads())
	if err != nil {
		x.refuseForLackOfRoom(err)
		return
	}
	defer leave()
	defer x.giveRoomBack()
	if why := x.refusal(); why != nil {
		if why != noPath {
			x.takeUnwanted()
		}
		if why.allow != nil {
			w.Header().Set("Allow", strings.Join(why.allow, ", "))
		}
		x.refuse(why.status, why.error)
		return
	}
	x.decide()
	if len(x.decision.Tries) == 0 {
		x.refuseToAsk()
		return
	}
	defer x.hold()()
	x.forward()
}

func (p *Proxy) missed(what ledger.Reference, replica string) {
	if p.Missed != nil {
		p.Missed(what, replica)
	}
}

func (p *Proxy) healed(source, target string, bytes int) {
	if p.Healed != nil {
		p.Healed(source, target, bytes)
	}
}

// named is the replica that a Host of the form <replica>.<hostname> names, "" for any other.
func (p *Proxy) named(host string, fleet *router.Fleet) string {
	name := strings.TrimSuffix(strings.ToLower((&url.URL{Host: host}).Hostname()), ".")
	label, ok := strings.CutSuffix(name, "."+p.Hostname)
	if !ok || fleet.Replica(label) == nil {
		return ""
	}
	return label
}

type exchangeKey struct{}

var errNoExchange = errors.New("request outside an exchange")

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
