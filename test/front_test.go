package test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A front stands between one client and the gateways, as a load balancer that forgets: it decides anew for every
// connection or every request. Towards the gateways it uses the client's address, which is all they know a client by.
type front struct {
	address string // IP:PORT where the client connects
}

func (f front) url() string { return "http://" + f.address }

// inTurn hands out the backends one after the other to all who ask.
type inTurn struct {
	backends []string
	n        atomic.Uint64
}

func (b *inTurn) next() string { return b.backends[b.n.Add(1)%uint64(len(b.backends))] }

// dialAlways connects to one gateway from a client's own address.
func dialAlways(client, gateway string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return from(client).DialContext(ctx, "tcp", gateway) }
}

// connectionFront gives every TCP connection of the client to dial.
func connectionFront(t testing.TB, listen string, dial func(context.Context) (net.Conn, error)) front {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t, listen))
	must(t, err)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { forward(ctx, client, dial) })
		}
	})
	return front{l.Addr().String()}
}

// forward copies both ways until both sides have ended, or the test has.
func forward(ctx context.Context, client net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer client.Close()
	gateway, err := dial(ctx)
	if err != nil {
		return
	}
	defer gateway.Close()
	defer context.AfterFunc(ctx, func() { client.Close(); gateway.Close() })()
	var up sync.WaitGroup
	up.Go(func() { copyHalf(gateway, client) })
	copyHalf(client, gateway)
	up.Wait()
}

// copyHalf passes the end of one direction on, and leaves the other open: it may still be under way.
func copyHalf(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// requestFront gives every HTTP request of the client to the next backend.
func requestFront(t testing.TB, listen, client string, backends *inTurn) front {
	t.Helper()
	transport := &http.Transport{DialContext: from(client).DialContext, DisableCompression: true,
		MaxIdleConnsPerHost: 16}
	handler := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      silent,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", backends.next()
			r.Out.Host = r.In.Host
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return handlerFront(t, listen, handler)
}

// silent: a client that goes away is none of a front's business.
var silent = log.New(io.Discard, "", 0)

func handlerFront(t testing.TB, listen string, handler http.Handler) front {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t, listen))
	must(t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return front{l.Addr().String()}
}

// frontMode is what a front decides anew for.
type frontMode struct {
	name string
	new  func(t testing.TB, listen, client string, backends *inTurn) front
}

var everyConnection = frontMode{"every connection", func(t testing.TB, listen, client string, backends *inTurn) front {
	return connectionFront(t, listen, func(ctx context.Context) (net.Conn, error) {
		return from(client).DialContext(ctx, "tcp", backends.next())
	})
}}

var everyRequest = frontMode{"every request", requestFront}
