package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// puller is a client that keeps its connections and asks for one thing at a time.
type puller struct{ transport *http.Transport }

func newPuller(dial func(context.Context) (net.Conn, error)) puller {
	return puller{&http.Transport{
		DisableCompression: true,
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
}

func (p puller) close() { p.transport.CloseIdleConnections() }

// wanted is a request and what its answer must be.
type wanted struct {
	method, path string
	digest       string
}

func (w wanted) String() string { return w.method + " " + w.path }

// belongsToPush: whether a blob exists is asked by who pushes, and while a lease holds its owner alone may say so.
func (w wanted) belongsToPush() bool {
	return w.method == http.MethodHead && strings.Contains(w.path, "/blobs/")
}

// requestsFor are all ways to ask for parts of an image.
func requestsFor(i image) []wanted {
	const base = "/v2/app/"
	layer := i.doc.Layers[0].Digest
	return []wanted{
		{http.MethodGet, base + "manifests/" + imageTag, i.digest},
		{http.MethodHead, base + "manifests/" + imageTag, i.digest},
		{http.MethodGet, base + "manifests/" + i.digest, i.digest},
		{http.MethodHead, base + "manifests/" + i.digest, i.digest},
		{http.MethodGet, base + "blobs/" + layer, layer},
		{http.MethodHead, base + "blobs/" + layer, layer},
	}
}

// outcome of one request. The zero firstByte means that none came.
type outcome struct {
	status          int
	firstByte, took time.Duration
	err             error // anything but a whole and right answer
}

var errNoFirstByte = errors.New("no first byte in time")

func (o outcome) hung() bool { return errors.Is(o.err, errNoFirstByte) }

// allowed in the first bounded wait: to be told that no replica answered in time, and a body that breaks off with
// the process that sent it. A gateway that dies takes requests with it that it has not answered.
func (o outcome) allowed(gatewayDies bool) bool {
	switch o.status {
	case http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusOK:
		return true
	}
	return gatewayDies && o.status == 0
}

// try asks once. The body has no bound of the issue's; a minute is longer than any layer here can take.
func (p puller) try(w wanted) (o outcome) {
	began := time.Now()
	defer func() { o.took = time.Since(began) }()
	ctx, cancel := context.WithTimeoutCause(context.Background(), patient(time.Minute),
		errors.New("the body never ended"))
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	timer := time.AfterFunc(hangBound+patient(hangSlack), func() { cut(errNoFirstByte) })
	response, err := p.ask(ctx, w)
	timer.Stop()
	if err != nil {
		o.err = errors.Join(err, context.Cause(ctx))
		return o
	}
	defer response.Body.Close()
	o.status, o.firstByte = response.StatusCode, time.Since(began)
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		o.err = err
	case o.status != http.StatusOK:
		o.err = fmt.Errorf("status %d: %s", o.status, body)
	case w.method == http.MethodGet && digestOf(body) != w.digest:
		o.err = fmt.Errorf("other content than %s", w.digest)
	case response.Header.Get("Docker-Content-Digest") != w.digest:
		o.err = fmt.Errorf("other digest than %s", w.digest)
	}
	return o
}

func (p puller) ask(ctx context.Context, w wanted) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, w.method, "http://"+hostname+w.path, nil)
	if err != nil {
		return nil, err
	}
	request.Header = manifestTypes.Clone()
	return p.transport.RoundTrip(request)
}
