package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"

	"github.com/fairlead-gateway/fairlead/proxy/tlsbuf"
)

// serveHTTP2 has a server speak HTTP/2 over connections of its TLS listener. It is the server of net/http, as
// golang.org/x/net has it: only there may what it writes go through something of ours, which joins frames. Its
// replacement, http.Server.Protocols, takes no TLS but *tls.Conn.
//
//nolint:staticcheck // see above
func serveHTTP2(s *http.Server, silence func() time.Duration) {
	server := &http2.Server{}
	if err := http2.ConfigureServer(s, server); err != nil {
		panic(err) // only if TLS is configured without what HTTP/2 needs
	}
	s.TLSNextProto[protocolHTTP2] = func(of *http.Server, t *tls.Conn, handler http.Handler) {
		server.ServeConn(tlsbuf.Merge(tlsbuf.Over(t), silence()), &http2.ServeConnOpts{
			Context:    baseContext(handler),
			Handler:    handler,
			BaseConfig: asConfigured(of, t),
		})
	}
}

// asConfigured is s for one connection, whose states it tells under the name that s knows it by.
func asConfigured(s *http.Server, t *tls.Conn) *http.Server {
	return &http.Server{
		Handler:        s.Handler,
		TLSConfig:      s.TLSConfig,
		IdleTimeout:    s.IdleTimeout,
		MaxHeaderBytes: s.MaxHeaderBytes,
		HTTP2:          s.HTTP2,
		ErrorLog:       s.ErrorLog,
		ConnState:      func(_ net.Conn, state http.ConnState) { s.ConnState(t, state) },
	}
}

// baseContext is what net/http hands over in the handler for TLSNextProto: the server's and the connection's context.
func baseContext(handler http.Handler) context.Context {
	if from, ok := handler.(interface{ BaseContext() context.Context }); ok {
		return from.BaseContext()
	}
	return context.Background()
}
