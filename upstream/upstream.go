// Package upstream is the way to the replicas: a transport for each, with bounded connections and answers that are
// checked, and the way through another gateway where this one cannot reach a replica itself.
package upstream

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// Endpoint is where a replica is, and how it wants to be spoken to.
type Endpoint struct {
	Name string
	URL  *url.URL
	Host string      // Host to send; "" keeps the client's
	TLS  *tls.Config // for https; nil is the system's
}

// Config is what Transports need. MaxManifest, MaxConns, MaxIdleConns and Relay may be zero.
type Config struct {
	Hostname     string // of the gateway: a replica is NAME.HOSTNAME at another gateway
	Endpoints    []Endpoint
	Dial         time.Duration                      // to connect to a replica that does not answer others meanwhile
	Patience     time.Duration                      // to connect to one that does, and for a TLS handshake
	MaxManifest  int64                              // bytes of one from a replica; 0 is transfer.DefaultMaxManifest
	MaxConns     int                                // to each replica, at once; 0 is MaxConns
	MaxIdleConns int                                // of them, kept for the next request; 0 is MaxIdleConns
	Alive        func(replica string, at time.Time) // what it sent came after at; for each read: must not block
	Relay        Relay
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
	// Static after New.
	hostname    string
	maxManifest int64
	maxConns    int
	to          map[string]*way
	relay       Relay
	relaying    *h1.Client
}

// way is how this gateway itself reaches one replica.
type way struct {
	Endpoint
	client *h1.Client
	signs  *signs
	piece  *transfer.Piece
}

// New makes the ways to the replicas that the file names. It opens no connection.
func New(c Config) *Transports {
	c.MaxConns, c.MaxIdleConns = cmp.Or(c.MaxConns, MaxConns), cmp.Or(c.MaxIdleConns, MaxIdleConns)
	dial := (&net.Dialer{Timeout: c.Dial}).DialContext
	t := &Transports{
		hostname: c.Hostname, maxManifest: cmp.Or(c.MaxManifest, transfer.DefaultMaxManifest),
		maxConns: c.MaxConns, to: map[string]*way{}, relay: c.Relay, relaying: c.client(c.Relay.TLS, dial),
	}
	for _, e := range c.Endpoints {
		signs := newSigns(dial, e, c.Patience, c.Alive)
		t.to[e.Name] = &way{e, c.client(e.TLS, signs.dial), signs, &transfer.Piece{}}
	}
	return t
}

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
	for _, w := range t.to {
		w.client.CloseIdleConnections()
	}
	t.relaying.CloseIdleConnections()
}

// MaxConns is how many connections there may be to each replica at once.
func (t *Transports) MaxConns() int { return t.maxConns }

// Endpoint is where a replica of the file is.
func (t *Transports) Endpoint(replica string) Endpoint { return t.to[replica].Endpoint }

// Send puts a client's request to a replica: to its upstream, or through its front. What has come through another
// gateway already is not relayed once more. hint may be nil.
func (t *Transports) Send(replica string, out *http.Request, relayed bool, hint h1.Hint) (*http.Response, error) {
	if w := t.to[replica]; relayed {
		return w.send(out, hint)
	}
	return t.send(replica, out, hint)
}

// Reach is a replica as requests reach it, for what is done there in the gateway's own name.
func (t *Transports) Reach(replica string) transfer.Replica { return t.ReachAs(replica, t.hostname) }

// ReachAs is Reach under the name that a client asked for.
func (t *Transports) ReachAs(replica, host string) transfer.Replica {
	w := t.to[replica]
	return transfer.Replica{
		Name: replica, URL: w.URL, Host: cmp.Or(w.Host, host), MaxManifest: t.maxManifest, Piece: w.piece,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != w.URL.Host {
				return w.client.RoundTrip(own(r)) // redirected, to an object store
			}
			return t.send(replica, own(r), nil)
		}),
	}
}

// Direct is for what is never relayed: a gateway's own login to a token service, which another gateway is not.
func (t *Transports) Direct(replica string) http.RoundTripper {
	w := t.to[replica]
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == w.URL.Host && r.URL.Scheme == w.URL.Scheme {
			return w.send(own(r), nil)
		}
		return w.client.RoundTrip(own(r))
	})
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
