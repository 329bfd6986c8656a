// Package upstream is the way to the replicas: a transport for each, with bounded connections and answers that are
// checked, and the way through another gateway where this one cannot reach a replica itself.
package upstream

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// Endpoint is where a replica is, and how it wants to be spoken to.
type Endpoint struct {
	Name        string
	Incarnation string // of its registry: another one under the same name has another
	URL         *url.URL
	Host        string      // Host to send; "" keeps the client's
	TLS         *tls.Config // for https; nil is the system's
	TLSKey      string      // what TLS was made of: two with the same key are alike. "": only if they are one
}

// Config is what Transports need for good. MaxConns and MaxIdleConns may be zero.
type Config struct {
	Hostname     string                             // of the gateway: a replica is NAME.HOSTNAME at another gateway
	Dial         time.Duration                      // to connect to a replica that does not answer others meanwhile
	Patience     time.Duration                      // to connect to one that does, and for a TLS handshake
	MaxConns     int                                // to each replica, at once; 0 is MaxConns
	MaxIdleConns int                                // of them, kept for the next request; 0 is MaxIdleConns
	Alive        func(replica string, at time.Time) // what it sent came after at; for each read: must not block
}

// DialTimeout is the usual Config.Dial.
const DialTimeout = 2 * time.Second

// Bounds of the connections to one replica, where descriptors are not short: an HTTP/2 client may ask for hundreds of
// things at once. What waits for one is bounded as what waits for an answer is.
const (
	MaxConns     = 2048
	MaxIdleConns = 64
)

// Transports are the ways to all replicas, by name.
type Transports struct {
	config Config // Static after New.

	updating sync.Mutex // Held while the ways are replaced.
	now      atomic.Pointer[ways]
}

// New makes the ways to the replicas that the file names. It opens no connection.
func New(c Config, s Settings) *Transports {
	c.MaxConns, c.MaxIdleConns = cmp.Or(c.MaxConns, MaxConns), cmp.Or(c.MaxIdleConns, MaxIdleConns)
	t := &Transports{config: c}
	t.now.Store(t.made(&ways{}, s))
	return t
}

func (c *Config) dialer() dialFunc { return (&net.Dialer{Timeout: c.Dial}).DialContext }

// client keeps to HTTP/1.1, which costs half the CPU per byte of HTTP/2. Idle connections go before the 60 s after
// which common load balancers drop them without a word.
func (c *Config) client(t *tls.Config, dial dialFunc) *h1.Client {
	return &h1.Client{
		Dial: dial, TLS: t,
		HandshakeTimeout: c.Patience, // whoever takes a connection is there
		MaxConns:         c.MaxConns, MaxIdle: c.MaxIdleConns,
		IdleTimeout: 30 * time.Second, ContinueTimeout: time.Second, Within: c.Dial,
	}
}

// Close drops idle connections.
func (t *Transports) Close() {
	now := t.now.Load()
	for _, w := range now.to {
		w.client.CloseIdleConnections()
	}
	now.relaying.CloseIdleConnections()
}

// MaxConns is how many connections there may be to each replica at once.
func (t *Transports) MaxConns() int { return t.config.MaxConns }

// Endpoint is where a replica of the file is. One that the fleet has not is nowhere.
func (t *Transports) Endpoint(replica string) Endpoint {
	w, err := t.now.Load().find(replica, "")
	if err != nil {
		return nowhere(replica)
	}
	return w.Endpoint
}

// Send puts a client's request to a replica of that incarnation ("": any): to its upstream, or through its front. What
// has come through another gateway already is not relayed once more. hint may be nil.
func (t *Transports) Send(replica, incarnation string, out *http.Request, relayed bool, hint h1.Hint) (*http.Response,
	error) {
	return t.now.Load().send(replica, incarnation, t.config.Hostname, out, relayed, hint)
}

// Reach is a replica as requests reach it, for what is done there in the gateway's own name. It is the registry of now:
// whoever keeps it gets ErrGone when the fleet has another one by that name, or none, and its new certificates until
// then.
func (t *Transports) Reach(replica string) transfer.Replica {
	return t.ReachAs(replica, t.config.Hostname)
}

// ReachAs is Reach under the name that a client asked for.
func (t *Transports) ReachAs(replica, host string) transfer.Replica {
	now := t.now.Load()
	to := now.to[replica]
	if to == nil {
		to = &way{Endpoint: nowhere(replica), piece: &transfer.Piece{}}
	}
	return transfer.Replica{
		Name: replica, URL: to.URL, Host: cmp.Or(to.Host, host), MaxManifest: now.maxManifest, Piece: to.piece,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			now, w, err := t.as(to)
			switch {
			case err != nil:
				closeBody(r)
				return nil, err
			case r.URL.Host != w.URL.Host:
				return w.client.RoundTrip(own(r)) // redirected, to an object store
			}
			return now.send(replica, w.Incarnation, t.config.Hostname, own(r), false, nil)
		}),
	}
}

// Direct is for what is never relayed: a gateway's own login to a token service, which another gateway is not.
func (t *Transports) Direct(replica string) http.RoundTripper {
	to := t.now.Load().to[replica]
	if to == nil {
		to = &way{Endpoint: nowhere(replica)}
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		_, w, err := t.as(to)
		switch {
		case err != nil:
			closeBody(r)
			return nil, err
		case r.URL.Host == w.URL.Host && r.URL.Scheme == w.URL.Scheme:
			return w.send(own(r), nil)
		}
		return w.client.RoundTrip(own(r))
	})
}

// as is the way of now to the registry that another way led to: what is begun at one must not go on at another that has
// got its name.
func (t *Transports) as(before *way) (now *ways, w *way, err error) {
	now = t.now.Load()
	w = now.to[before.Name]
	if w == nil || !w.sameRegistry(before.Endpoint) {
		return nil, nil, fmt.Errorf("%s: %w", before.Name, ErrGone)
	}
	return now, w, nil
}

// closeBody is for a request that is not sent.
func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close() // as all transports do
	}
}

// userAgent names who asks in its own name: some firewalls refuse whoever says nothing.
const userAgent = "fairlead"

// own is a copy of a request in the gateway's own name.
func own(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if len(r.Header["User-Agent"]) == 0 {
		r.Header["User-Agent"] = []string{userAgent}
	}
	return r
}

// send puts a request to the replica's upstream. It changes out.
func (w *way) send(out *http.Request, hint h1.Hint) (*http.Response, error) {
	address := *out.URL
	address.Scheme, address.Host = w.URL.Scheme, w.URL.Host
	out.URL = &address
	out.Host = cmp.Or(w.Host, out.Host)
	response, err := w.client.Do(out, hint)
	if err == nil {
		w.signs.hear(response)
	}
	return response, err
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
