package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
	"github.com/fairlead-gateway/fairlead/proxy/tlsbuf"
)

// handshakeTimeout is what a client has for its TLS handshake.
const handshakeTimeout = 10 * time.Second

const protocolHTTP2 = "h2" // ALPN's name (RFC 9113, 3.2)

// offering is a server's configuration of TLS with the protocols it speaks; nil, if t is.
func offering(t *tls.Config) *tls.Config {
	if t == nil {
		return nil
	}
	t = t.Clone()
	t.NextProtos = []string{protocolHTTP2, "http/1.1"}
	return t
}

// tlsListener makes the handshakes itself, so that HTTP/1.x can be read strictly within TLS. net/http makes them where
// it is given a *tls.Conn, and reads what is in it. That is what it gets for HTTP/2.
type tlsListener struct {
	net.Listener
	config  *tls.Config
	limiter *ConnLimiter
	log     *slog.Logger

	accepted chan accepted
	gone     chan struct{} // closed by Close
	once     sync.Once
	ended    chan struct{} // closed when no more will come
}

type accepted struct {
	conn net.Conn
	err  error
}

func newTLSListener(inner net.Listener, t *tls.Config, limiter *ConnLimiter, log *slog.Logger) *tlsListener {
	l := &tlsListener{Listener: inner, config: t, limiter: limiter, log: log,
		accepted: make(chan accepted), gone: make(chan struct{}), ended: make(chan struct{})}
	go l.acceptAll()
	return l
}

// Accept returns connections whose handshake is done, in the order in which it was. Those that had come when the socket
// was closed are among them.
func (l *tlsListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// acceptAll has as many handshakes under way as the limiter has room for.
func (l *tlsListener) acceptAll() {
	defer close(l.ended)
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			handshakes.Go(func() { l.shakeHands(c) })
		case errors.Is(err, net.ErrClosed) || !l.hand(nil, err):
			return
		}
	}
}

// hand gives something to who accepts. It is false if nobody will any more.
func (l *tlsListener) hand(c net.Conn, err error) bool {
	select {
	case l.accepted <- accepted{c, err}:
		return true
	case <-l.gone:
		return false
	}
}

// shakeHands sees to one connection. The limiter counts it as one without a request meanwhile.
func (l *tlsListener) shakeHands(c net.Conn) {
	l.limiter.state(c, http.StateNew)
	secured, err := l.secure(c)
	l.limiter.state(c, http.StateClosed)
	if err != nil {
		l.log.Debug("no TLS handshake", "client", c.RemoteAddr(), "error", err)
	}
	if err != nil || !l.hand(secured, nil) {
		_ = c.Close()
	}
}

// secure makes the handshake, and returns what net/http is to serve.
func (l *tlsListener) secure(c net.Conn) (net.Conn, error) {
	t := tls.Server(tlsbuf.Under(c), l.config)
	_ = c.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := t.HandshakeContext(context.Background()); err != nil {
		if header := (tls.RecordHeaderError{}); errors.As(err, &header) && isClearText(header.RecordHeader) {
			strict.Refuse(c, &strict.Refusal{Status: http.StatusBadRequest, Why: "here only HTTPS is spoken"})
		}
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	if t.ConnectionState().NegotiatedProtocol == protocolHTTP2 {
		return t, nil
	}
	return &securedConn{readStrictly(tlsbuf.Over(t), l.limiter.heads, l.log), t}, nil
}

// isClearText reports whether a request in clear text came in the place of a handshake: methods begin with a capital.
func isClearText(record [5]byte) bool { return record[0] >= 'A' && record[0] <= 'Z' }

func (l *tlsListener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Listener.Close()
}

// securedConn is HTTP/1.x within TLS. net/http asks for the state (http.Request.TLS).
type securedConn struct {
	*strict.Conn
	tls *tls.Conn
}

func (c *securedConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// NetConn is what is below TLS.
func (c *securedConn) NetConn() net.Conn { return c.tls.NetConn() }
