package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// Bounds of the clients' listener. Headers have no reason to take longer; bodies are judged by pace,
// not by the server.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Bounds of HTTP/2: streams of one connection (docker and containerd have below ten, and a page of a browser some
// dozens; 100 is what RFC 9113, 6.5.2, asks for at least), and the frames that are read, each into a buffer that its
// connection keeps (RFC 9113, 4.2: all may send as large ones).
const (
	maxStreams   = 128
	maxReadFrame = 16 << 10
)

// NewServer makes the clients' server around a handler. Its listeners are to have the same limiter.
func NewServer(handler http.Handler, t *tls.Config, limiter *ConnLimiter, m Memory, log *slog.Logger) *http.Server {
	m = m.complete()
	return &http.Server{
		Handler:           handler,
		TLSConfig:         t,
		ConnState:         limiter.state,
		ConnContext:       limiter.context,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          m.Streams,
			MaxReadFrameSize:              maxReadFrame,
			MaxReceiveBufferPerConnection: m.Receive,
			MaxReceiveBufferPerStream:     m.Receive,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Listener bounds the connections of l by the limiter, and reads the PROXY header (haproxy's proxy-protocol.txt,
// versions 1 and 2) of those that come from trusted proxies. From anybody else such a header is
// garbage before a request, and refused as that.
func Listener(l net.Listener, limiter *ConnLimiter, trusted []netip.Prefix) net.Listener {
	if len(trusted) == 0 {
		return limiter.bound(l, nil)
	}
	return limiter.bound(&proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if isTrusted(addrOf(o.Upstream.String()), trusted) {
				return proxyproto.USE, nil
			}
			return proxyproto.SKIP, nil
		},
	}, trusted)
}
