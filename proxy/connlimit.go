package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// ConnLimiter bounds the clients' connections, of all listeners together. Where there is no room for one more, the
// one that has been without a request for longest is closed: who connects and asks nothing shuts nobody out. Where
// all are busy, the next one waits in the kernel's queue.
type ConnLimiter struct {
	slots chan struct{} // one for each connection, and for each Accept that has room
	// A connection without its first request is let alone for so long, one after a request for a quarter of it. Static.
	young time.Duration
	shed  prometheus.Counter

	mu    sync.Mutex
	idle  *simplelru.LRU[net.Conn, time.Time] // Guarded by mu: between requests; since when.
	fresh *simplelru.LRU[net.Conn, time.Time] // Guarded by mu: before the first one; since when.
}

// NewConnLimiter is for at most so many connections, one for each listener at least.
func NewConnLimiter(most int, registerer prometheus.Registerer) *ConnLimiter {
	idle, err := simplelru.NewLRU[net.Conn, time.Time](most+1, nil)
	fresh, err2 := simplelru.NewLRU[net.Conn, time.Time](most+1, nil)
	if err = errors.Join(err, err2); err != nil {
		panic(err) // only for a size below 1
	}
	return &ConnLimiter{
		slots: make(chan struct{}, most),
		young: time.Second,
		idle:  idle, fresh: fresh,
		shed: promauto.With(registerer).NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_idle_connections_closed_total",
			Help: "Clients' connections that were closed without a request under way, to make room for others.",
		}),
	}
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

// unused is the connection that has been without a request for longest; nil: none has for long enough. Over HTTP/2
// one counts as idle before its first request comes, and before the end of its last answer has left.
func (l *ConnLimiter) unused(now time.Time) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	idle, left, found := l.idle.GetOldest()
	found = found && now.Sub(left) >= l.young/4
	if silent, since, ok := l.fresh.GetOldest(); ok && now.Sub(since) >= l.young && (!found || since.Before(left)) {
		l.fresh.Remove(silent)
		return silent
	}
	if !found {
		return nil
	}
	l.idle.Remove(idle)
	return idle
}

func (l *ConnLimiter) leave() { <-l.slots }

// state is told by the server what becomes of a connection.
func (l *ConnLimiter) state(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle.Remove(c)
	l.fresh.Remove(c)
	switch s {
	case http.StateNew:
		l.fresh.Add(c, time.Now())
	case http.StateIdle:
		l.idle.Add(c, time.Now())
	case http.StateActive, http.StateHijacked, http.StateClosed:
	}
}

// close does not say goodbye in TLS, which may wait for a client that reads nothing.
func (l *ConnLimiter) close(c net.Conn) {
	l.shed.Inc()
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

func (l *ConnLimiter) bound(inner net.Listener) net.Listener {
	return &boundListener{Listener: inner, limiter: l, gone: make(chan struct{})}
}

type boundListener struct {
	net.Listener
	limiter *ConnLimiter
	gone    chan struct{} // closed by Close
	once    sync.Once
}

func (l *boundListener) Accept() (net.Conn, error) {
	if !l.limiter.enter(l.gone) {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.limiter.leave()
		return nil, err
	}
	return &boundConn{Conn: c, leave: sync.OnceFunc(l.limiter.leave)}, nil
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Listener.Close()
}

type boundConn struct {
	net.Conn
	leave func()
}

// TCP is the connection to which bytes can be moved inside the kernel; nil: there is none.
func (c *boundConn) TCP() *net.TCPConn {
	inner := c.Conn
	if behind, ok := inner.(*proxyproto.Conn); ok {
		inner = behind.Raw()
	}
	tcp, _ := inner.(*net.TCPConn)
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
	inner := c.Conn
	if behind, ok := inner.(*proxyproto.Conn); ok {
		inner = behind.Raw()
	}
	if half, ok := inner.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *boundConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// SyscallConn is the socket's, where there is nothing in between.
func (c *boundConn) SyscallConn() (syscall.RawConn, error) {
	if inner, ok := c.Conn.(syscall.Conn); ok {
		return inner.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
