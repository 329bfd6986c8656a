package proxy

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
)

// Bounds of the clients' listener. Headers have no reason to take longer; bodies are judged by pace,
// not by the server.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
)

// Bounds of HTTP/2: streams of one connection (docker and containerd have below ten, and a page of a browser some
// dozens; 100 is what RFC 9113, 6.5.2, asks for at least), and the frames that are read, each into a buffer that its
// connection keeps (RFC 9113, 4.2: all may send as large ones).
const (
	maxStreams   = 128
	maxReadFrame = 16 << 10
)

// NewServer makes the clients' server around a handler. Its listeners are Listener's, of the same limiter and t, which
// is nil for clear text: what they accept is to be served as it is. silence is what Limits.Silence is when a connection
// begins.
func NewServer(
	handler http.Handler, t *tls.Config, limiter *ConnLimiter, m Memory, silence func() time.Duration, log *slog.Logger,
) *http.Server {
	m = m.complete()
	s := &http.Server{
		Handler:           handler,
		TLSConfig:         offering(t),
		ConnState:         limiter.state,
		ConnContext:       withConn,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    strict.MaxHead,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          m.Streams,
			MaxReadFrameSize:              maxReadFrame,
			MaxReceiveBufferPerConnection: m.Receive,
			MaxReceiveBufferPerStream:     m.Receive,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if t != nil {
		serveHTTP2(s, silence)
	}
	return s
}

// Listener bounds the connections of l by the limiter, makes TLS of them where t is not nil, and has every byte of
// HTTP/1.x read strictly before the server gets it. trusted are the proxies of the moment, asked for each connection.
func Listener(
	l net.Listener, t *tls.Config, limiter *ConnLimiter, trusted func() []netip.Prefix, log *slog.Logger,
) net.Listener {
	bounded := limiter.bound(behindProxies(l, trusted), trusted)
	if t == nil {
		return &strictListener{bounded, limiter.heads, log}
	}
	return newTLSListener(bounded, offering(t), limiter, log)
}

// behindProxies reads the PROXY header (haproxy's proxy-protocol.txt, versions 1 and 2) of connections that come from
// trusted proxies. From anybody else such a header is garbage before a request, and refused as that.
func behindProxies(l net.Listener, trusted func() []netip.Prefix) net.Listener {
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if isTrusted(addrOf(o.Upstream.String()), trusted()) {
				return proxyproto.USE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}

// strictListener is for clear text.
type strictListener struct {
	net.Listener
	heads *strict.Heads
	log   *slog.Logger
}

func (l *strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return readStrictly(c, l.heads, l.log), nil
}

// readStrictly is for a connection in clear text, or within TLS.
func readStrictly(c net.Conn, heads *strict.Heads, log *slog.Logger) *strict.Conn {
	return strict.New(c, readHeaderTimeout, heads, func(why *strict.Refusal) {
		log.Debug("no good HTTP", "client", c.RemoteAddr(), "status", why.Status, "error", why)
	})
}
