package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
)

// DefaultShare is the part of the connections and of the room for requests that one client may have.
const DefaultShare = 0.8

// ConnLimiter bounds the clients' connections, of all listeners together. Where there is no room for one more, the
// one that has been without a request for longest is closed: who connects and asks nothing shuts nobody out. Where
// all are busy, the next one waits in the kernel's queue.
//
// One client has a share of them (connshare.go).
type ConnLimiter struct {
	slots chan struct{} // one for each connection, and for each Accept that has room
	// A connection without its first request is let alone for so long, one after a request for a quarter of it. Static.
	young time.Duration
	heads *strict.Heads // of all connections together. Static.
	shed  prometheus.Counter
	share share

	mu  sync.Mutex
	all unused // Guarded by mu.
}

// NewConnLimiter is for at most so many connections, one for each listener at least. One client has that share of them,
// above 0 and at most 1. Together they may hold so many bytes of large heads that are not whole (strict.Heads).
func NewConnLimiter(most int, part float64, heads int64, registerer prometheus.Registerer) *ConnLimiter {
	return &ConnLimiter{
		slots: make(chan struct{}, most),
		heads: strict.NewHeads(heads),
		young: time.Second,
		share: newShare(most, part, registerer),
		all:   newUnused(most + 1),
		shed: promauto.With(registerer).NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_idle_connections_closed_total",
			Help: "Clients' connections that were closed without a request under way, to make room for others.",
		}),
	}
}

// Update has one client have that share of the connections from now on. Who has more keeps what there is.
func (l *ConnLimiter) Update(part float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share.set(cap(l.slots), part)
}

// enter waits for room, and makes some. It is false when there will be none, since the listener is gone.
func (l *ConnLimiter) enter(gone <-chan struct{}) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	again := time.NewTicker(max(l.young/4, time.Millisecond))
	defer again.Stop()
	for {
		if c := l.unused(time.Now()); c != nil {
			l.close(c)
		}
		select {
		case l.slots <- struct{}{}:
			return true
		case <-gone:
			return false
		case <-again.C:
		}
	}
}

func (l *ConnLimiter) unused(now time.Time) *boundConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.longest(now, l.young)
}

// state is told by the server what becomes of a connection.
func (l *ConnLimiter) state(c net.Conn, s http.ConnState) {
	bound, now := boundUnder(c), time.Now()
	if bound == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.note(bound, s, now)
	if bound.of != nil && !bound.over {
		bound.of.unused.note(bound, s, now)
	}
}

// close does not say goodbye in TLS, which may wait for a client that reads nothing.
func (l *ConnLimiter) close(c *boundConn) {
	l.shed.Inc()
	_ = c.Close()
}

// withConn lets a request's handler know its connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

type connKey struct{}

// connOf is the connection that a request came by; nil: its server's listener is not a limiter's.
func connOf(r *http.Request) *boundConn {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	return boundUnder(c)
}

func (l *ConnLimiter) bound(inner net.Listener, trusted func() []netip.Prefix) net.Listener {
	return &boundListener{Listener: inner, limiter: l, trusted: trusted, gone: make(chan struct{})}
}

type boundListener struct {
	net.Listener
	limiter *ConnLimiter
	trusted func() []netip.Prefix // proxies, which are nobody's connections
	gone    chan struct{}         // closed by Close
	once    sync.Once
}

func (l *boundListener) Accept() (net.Conn, error) {
	for {
		if !l.limiter.enter(l.gone) {
			return nil, net.ErrClosed
		}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.limiter.slots
			return nil, err
		}
		bound := &boundConn{Conn: c, limiter: l.limiter}
		if l.limiter.take(bound, l.trusted()) {
			return bound, nil
		}
		_ = bound.Close()
	}
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Listener.Close()
}

type boundConn struct {
	net.Conn
	limiter *ConnLimiter
	left    sync.Once
	within  atomic.Bool // it is within its client's share, or is no client's

	// Guarded by limiter.mu.
	of   *clientConns // nil: no client's
	over bool         // it is beyond its client's share
	gone bool         // it is closed, and counts no more
}

// socket is the kernel's connection below what reads a PROXY header.
func (c *boundConn) socket() net.Conn {
	if behind, ok := c.Conn.(*proxyproto.Conn); ok {
		return behind.Raw()
	}
	return c.Conn
}

// TCP is the connection to which bytes can be moved inside the kernel; nil: there is none.
func (c *boundConn) TCP() *net.TCPConn {
	tcp, _ := c.socket().(*net.TCPConn)
	return tcp
}

// ReadFrom is how net/http hands over a body that is not chunked.
func (c *boundConn) ReadFrom(from io.Reader) (int64, error) {
	if whole, ok := from.(io.WriterTo); ok {
		return whole.WriteTo(c)
	}
	return io.Copy(struct{ io.Writer }{c}, from)
}

// CloseWrite is how a server says goodbye to a client that still sends: after a Close the client may lose the answer.
func (c *boundConn) CloseWrite() error {
	if half, ok := c.socket().(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *boundConn) Close() error {
	defer c.left.Do(func() { c.limiter.leave(c) })
	return c.Conn.Close()
}

// SyscallConn is the socket's, where there is nothing in between.
func (c *boundConn) SyscallConn() (syscall.RawConn, error) {
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// boundUnder is the limiter's connection below what was put on top of it, such as TLS; nil: there is none.
func boundUnder(c net.Conn) *boundConn {
	for {
		if bound, ok := c.(*boundConn); ok {
			return bound
		}
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = above.NetConn()
	}
}
