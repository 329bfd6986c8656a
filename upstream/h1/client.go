// Package h1 speaks HTTP/1.1 to servers, for a proxy: it writes exactly what it is given, takes nothing for an answer
// that is not one by the letter of RFC 9112, and lets bodies be moved inside the kernel. A request without a body is
// sent and answered in the goroutine that asks.
package h1

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client is an http.RoundTripper. It follows no redirect, asks for no compression, and sends no field of its own but
// those that say how a body ends. All fields but TLS are required, and static.
type Client struct {
	Dial             func(ctx context.Context, network, address string) (net.Conn, error)
	TLS              *tls.Config   // for https; nil is the system's
	HandshakeTimeout time.Duration // of TLS
	MaxConns         int           // to one server; who comes then waits
	MaxIdle          int           // of them, kept for the next request
	IdleTimeout      time.Duration // after which those are closed
	ContinueTimeout  time.Duration // that a server has to say that it wants a body (RFC 9110, 10.1.1)
	Within           time.Duration // of the last byte handed over: what breaks later was being worked on

	closed atomic.Bool
	mu     sync.Mutex
	pools  map[server]*pool // Guarded by mu.
}

// Hint is handed what comes before an answer (1xx). An error ends the request.
type Hint func(status int, fields http.Header) error

// RoundTrip sends a request and returns the answer's status and fields. The request's context bounds the body, too.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) { return c.Do(r, nil) }

// Do is RoundTrip for whoever wants hints. A request that was put on a connection in the moment in which its server
// closed that is sent once more (docs/adr/018).
func (c *Client) Do(r *http.Request, hint Hint) (*http.Response, error) {
	p, ctx, body := c.poolOf(r.URL), r.Context(), newOutgoing(r)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	mayRest := time.Duration(math.MaxInt64)
	if !body.fits() {
		mayRest = p.restOfLong()
	}
	for {
		conn, err := p.take(ctx, mayRest)
		if err != nil {
			body.close()
			return nil, cmp.Or(ctx.Err(), err)
		}
		reused, rested := conn.reused, time.Since(conn.idle)
		response, err := conn.roundTrip(r, body.begin(reused, time.Now()), hint)
		within := c.Within
		if reads {
			within = math.MaxInt64
		}
		broke := err != nil && reused && !conn.answered.Load() && ctx.Err() == nil &&
			!errors.Is(err, errBadRequest) && body.repeatable(within, time.Now())
		if reused && (err == nil || broke) {
			p.noteRested(rested, broke)
		}
		if !broke {
			if err != nil {
				body.close()
			}
			return response, err
		}
		mayRest = 0
	}
}

// server is one, as URLs name it.
type server struct{ scheme, host string }

// poolOf is the pool of a URL's server.
func (c *Client) poolOf(u *url.URL) *pool {
	key := server{u.Scheme, u.Host}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[key]
	if p == nil {
		if c.pools == nil || len(c.pools) >= maxPools {
			c.forgetUnused()
		}
		p = &pool{client: c, address: addressOf(u), secure: u.Scheme == "https"}
		c.pools[key] = p
	}
	return p
}

// addressOf is where a URL's server is to be dialled.
func addressOf(u *url.URL) string {
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}

// maxPools is for how many servers pools are kept: replicas redirect to object stores by many names.
const maxPools = 64

// forgetUnused needs mu.
func (c *Client) forgetUnused() {
	kept := map[server]*pool{}
	for key, p := range c.pools {
		if p.isUsed() {
			kept[key] = p
		}
	}
	c.pools = kept
}

// CloseIdleConnections closes what waits for a request, now and from now on.
func (c *Client) CloseIdleConnections() {
	c.closed.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pools {
		p.closeIdle()
	}
}

// maxHints is how many answers below 200 may come before the one that counts.
const maxHints = 16

var errTooManyHints = nonsense("more than %d answers below 200 came", maxHints)

// roundTrip sends a request on a connection. With an error the connection is gone.
func (c *conn) roundTrip(r *http.Request, from *attempt, hint Hint) (*http.Response, error) {
	ctx, body := r.Context(), from.of
	c.answered.Store(false)
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	s := &sending{conn: c, from: from}
	h, err := c.exchange(r, s, hint)
	var f framing
	var length int64
	if err == nil {
		f, length, err = framingOf(r.Method, h)
	}
	var response *http.Response
	if err == nil {
		response = newResponse(r, h, length)
		err = validate(r, response)
	}
	if err == nil {
		release := func(reuse bool) {
			calm := stop()
			c.pool.put(c, s.finished() && reuse && calm && c.in.Buffered() == 0)
			body.close()
		}
		c.attach(response, f, release)
		return response, nil
	}
	stop()
	s.say(false)
	c.pool.put(c, false)
	return nil, cmp.Or(ctx.Err(), body.failure(), c.why(err))
}

// exchange sends and reads until there is a head that counts.
func (c *conn) exchange(r *http.Request, s *sending, hint Hint) (head, error) {
	var err error
	if c.scratch, err = appendHead(c.scratch[:0], r, s.from.of); err != nil {
		return head{}, err
	}
	if _, err = c.Write(c.scratch); err != nil {
		return head{}, err
	}
	s.start()
	for range maxHints {
		var h head
		var begun bool
		h, c.scratch, begun, err = readHead(c.in, c.scratch)
		if begun {
			c.answered.Store(true)
		}
		switch {
		case err != nil:
			return head{}, err
		case h.status == http.StatusSwitchingProtocols || h.status < 100:
			return head{}, nonsense("its status is %03d", h.status)
		case h.status >= 200:
			s.say(false)
			return h, nil
		}
		if h.status == http.StatusContinue {
			s.say(true)
		}
		if hint != nil {
			if err := hint(h.status, h.header); err != nil {
				return head{}, err
			}
		}
	}
	return head{}, errTooManyHints
}

var errNotWanted = errors.New("the server has answered without the request's body")

// newResponse makes an answer without its body of a head.
func newResponse(r *http.Request, h head, length int64) *http.Response {
	keep := h.minor == 1 && !hasToken(h.header["Connection"], "close") ||
		h.minor == 0 && hasToken(h.header["Connection"], "keep-alive")
	codings := h.header["Transfer-Encoding"]
	delete(h.header, "Transfer-Encoding")
	return &http.Response{
		Status: strconv.Itoa(h.status) + " " + h.reason, StatusCode: h.status,
		Proto: "HTTP/1." + strconv.Itoa(h.minor), ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.header, Trailer: announced(h.header), ContentLength: length, TransferEncoding: codings,
		Close: !keep, Request: r,
	}
}

// attach gives an answer its body. release is called once nothing more of it comes.
func (c *conn) attach(response *http.Response, f framing, release func(reuse bool)) {
	keep := !response.Close
	if f == noBody {
		response.Body, response.Trailer = http.NoBody, nil
		release(keep)
		return
	}
	response.Body = &Body{
		framing: f, conn: c, response: response, left: response.ContentLength,
		release: func(reuse bool) { release(reuse && keep) },
	}
}

// announced are the names of trailers to come (RFC 9110, 6.6.2).
func announced(header http.Header) http.Header {
	var trailer http.Header
	for _, field := range header["Trailer"] {
		for name := range strings.SplitSeq(field, ",") {
			if trailer == nil {
				trailer = http.Header{}
			}
			trailer[http.CanonicalHeaderKey(strings.Trim(name, " \t"))] = nil
		}
	}
	delete(header, "Trailer")
	return trailer
}
