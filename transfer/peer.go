package transfer

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// peer is a Repository with the bounds for its requests. It is static.
type peer struct {
	Replica
	bounds
	repository    string
	authorization string
}

func (b bounds) peer(r Repository) *peer {
	if r.Replica.Piece == nil {
		r.Replica.Piece = &Piece{}
	}
	return &peer{r.Replica, b, r.Name, r.Credential.Get("Authorization")}
}

// at returns the URL of something in the repository.
func (p *peer) at(rest string) *url.URL {
	return &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, Path: "/v2/" + p.repository + "/" + rest}
}

// call is one request. A foreign one goes to another host than the replica, and shows no credential.
type call struct {
	method  string
	at      *url.URL
	foreign bool
	header  http.Header
	body    io.Reader
	length  int64
	wait    time.Duration // for its answer; 0 is the usual
}

var (
	errNoAnswer = errors.New("no answer in time")
	errStill    = errors.New("too long without a byte")
)

// send returns any answer. When it returns, nobody reads the call's body any more.
func (p *peer) send(ctx context.Context, c call) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	wait := cmp.Or(c.wait, p.answer)
	timer := time.AfterFunc(wait, func() { cancel(errNoAnswer) })
	out := (&http.Request{Method: c.method, URL: c.at, Header: c.header.Clone()}).WithContext(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	out.Header.Set("Accept-Encoding", "identity") // digests and ranges are of what is stored
	if !c.foreign {
		out.Host = p.Host
		if p.authorization != "" {
			out.Header.Set("Authorization", p.authorization)
		}
	}
	body := &outgoing{from: c.body, timer: timer, wait: wait}
	if c.length > 0 {
		out.Body, out.ContentLength = body, c.length
	}
	response, err := p.Transport.RoundTrip(out)
	body.Close()
	timer.Stop()
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		return nil, &Error{Replica: p.Name, Method: c.method, Err: err}
	}
	still := time.AfterFunc(p.still, func() { cancel(errStill) })
	still.Stop()
	response.Body = &incoming{response.Body, ctx, cancel, still, p.still}
	return response, nil
}

var errLocation = errors.New("unusable Location")

// locate resolves a Location. A replica may call itself by the name that it was asked by; it is then reached as before.
func (p *peer) locate(
	from *url.URL, location string, same func(a, b string) bool,
) (u *url.URL, foreign bool, err error) {
	u, err = from.Parse(location)
	if err != nil || location == "" || u.Host == "" || u.Opaque != "" {
		return nil, false, errLocation // what it says may be a credential in itself
	}
	if !same(u.Host, p.URL.Host) && !same(u.Host, cmp.Or(p.Host, p.URL.Host)) {
		return u, true, nil
	}
	u.Scheme, u.Host = p.URL.Scheme, p.URL.Host
	return u, false, nil
}
