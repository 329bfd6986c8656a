package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/net/netutil"
)

// Bounds of the clients' listener. Headers have no reason to take longer; bodies are judged by pace,
// not by the server.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	maxConnections    = 16_384
)

// NewServer makes the clients' server around a handler.
func NewServer(handler http.Handler, t *tls.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		TLSConfig:         t,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Listener bounds the connections of l, and reads the PROXY header (haproxy's proxy-protocol.txt,
// versions 1 and 2) of those that come from trusted proxies. From anybody else such a header is
// garbage before a request, and refused as that.
func Listener(l net.Listener, trusted []netip.Prefix) net.Listener {
	l = netutil.LimitListener(l, maxConnections)
	if len(trusted) == 0 {
		return l
	}
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if isTrusted(addrOf(o.Upstream.String()), trusted) {
				return proxyproto.USE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}
