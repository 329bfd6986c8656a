package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// inTurn hands out the ends one after the other to all who ask.
type inTurn struct {
	ends []string
	n    atomic.Uint64
}

func (t *inTurn) next() string { return t.ends[t.n.Add(1)%uint64(len(t.ends))] }

// way is where a connection goes, and from which address; "" is any.
type way struct{ end, from string }

// straight goes from any address.
func straight(next func() string) func() way {
	return func() way { return way{end: next()} }
}

// roaming comes from another region every second time, so that both ends see clients of both.
func (t *inTurn) roaming() way {
	n := t.n.Add(1)
	return way{t.ends[n%uint64(len(t.ends))], []string{"127.0.0.1", elsewhere}[n/2%2]}
}

// connectionFront gives every TCP connection to the next end; with a pace, not faster than that in both
// directions.
func connectionFront(ctx context.Context, address string, next func() way, slow *pace) (stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go forward(ctx, client, next(), slow)
		}
	}()
	return func() { cancel(); _ = l.Close() }, nil
}

func forward(ctx context.Context, client net.Conn, to way, slow *pace) {
	defer client.Close()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	if to.from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(to.from)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", to.end)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = client.Close(); _ = conn.Close() })()
	done := make(chan bool)
	go func() {
		copyHalf(conn, slow.reader(client))
		close(done)
	}()
	copyHalf(client, slow.reader(conn))
	<-done
}

// copyHalf passes the end of one direction on, and leaves the other open: it may still be under way.
func copyHalf(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
}

// requestFront gives every HTTP request to the next end.
func requestFront(ctx context.Context, address string, next func() string) (stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // a client that goes away is none of a front's business
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", next()
			r.Out.Host = r.In.Host
		},
	}}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Printf("front: %v", err)
		}
	}()
	return func() { _ = server.Close(); transport.CloseIdleConnections() }, nil
}
