package upstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// observing is the transport to a replica's upstream, and tells when that gives a sign of life: an answer, or a body
// that moves. What comes from where it redirects to, or through another gateway, which has a transport of its own, is
// none.
type observing struct {
	// Static after newObserving.
	*resending
	host, address string // of the upstream, in its URL and to connect to
	dialOnce      func(ctx context.Context, network, address string) (net.Conn, error)
	patience      time.Duration // to connect, while others are answered
	alive         func(at time.Time)
	made          time.Time

	latest atomic.Int64 // sign of life, in nanoseconds from made
}

func newObserving(
	t *resending, e Endpoint, patience time.Duration, alive func(replica string, at time.Time),
) *observing {
	port := cmp.Or(e.URL.Port(), map[string]string{"http": "80", "https": "443"}[e.URL.Scheme])
	o := &observing{
		resending: t, host: e.URL.Host, address: net.JoinHostPort(e.URL.Hostname(), port), dialOnce: t.pool.DialContext,
		patience: patience, alive: func(at time.Time) { alive(e.Name, at) }, made: time.Now(),
	}
	t.pool.DialContext, t.fresh.DialContext = o.dial, o.dial
	return o
}

// dial tries again what has timed out while the replica answered others: it is busy, or this machine is. A replica that
// nothing reaches any more answers nobody, and is given up at once, so that another one can be asked.
func (o *observing) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for first := time.Now(); ; {
		began := time.Now()
		conn, err := o.dialOnce(ctx, network, address)
		var failed net.Error
		switch {
		case err == nil:
			return &timedConn{Conn: conn, made: time.Now()}, nil
		case !errors.As(err, &failed) || !failed.Timeout() || ctx.Err() != nil:
			return nil, err
		case address != o.address || !o.aliveSince(began) || time.Since(first) >= o.patience:
			return nil, err
		}
	}
}

func (o *observing) tell(at time.Time) {
	// Of two at once the earlier may stay: the next one is not far.
	if since := int64(at.Sub(o.made)); since > o.latest.Load() {
		o.latest.Store(since)
	}
	o.alive(at)
}

func (o *observing) aliveSince(moment time.Time) bool {
	return o.made.Add(time.Duration(o.latest.Load())).After(moment)
}

func (o *observing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host {
		return o.resending.RoundTrip(r)
	}
	var over atomic.Pointer[timedConn]
	trace := httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { over.Store(timedConnOf(got.Conn)) }}
	response, err := o.resending.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &trace)))
	if err != nil || !serves(response.StatusCode) {
		return response, err
	}
	o.tell(time.Now())
	if from := over.Load(); from != nil && response.Body != http.NoBody {
		response.Body = movingBody{response.Body, from, o.tell}
	}
	return response, nil
}

// serves reports whether a status is a sign of life. A refusal shows that a registry is there. 429 is alive for probes
// as well. With 5xx it says itself that it fails, or somebody before it does that it is gone.
func serves(status int) bool { return 200 <= status && status < 500 }

// movingBody tells of what comes of a body: of a large one, on a line that it fills, for minutes nothing else does.
type movingBody struct {
	io.ReadCloser
	from *timedConn
	tell func(at time.Time)
}

func (b movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.tell(b.from.cameAfter())
	}
	return n, err
}

// timedConn is a connection that knows since when what is read from it cannot have been there. What a replica has sent
// waits here for a slow client, megabytes of it, and shows nothing if the replica has died since.
type timedConn struct {
	net.Conn
	made time.Time

	// Nanoseconds from made.
	empty atomic.Int64 // when all that had come was read
	came  atomic.Int64 // the last thing that was read came after this
}

func (l *timedConn) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.came.Store(l.empty.Load())
	}
	if n < len(p) {
		l.empty.Store(int64(time.Since(l.made)))
	}
	return n, err
}

func (l *timedConn) cameAfter() time.Time { return l.made.Add(time.Duration(l.came.Load())) }

// timedConnOf is nil for a connection that is none of ours.
func timedConnOf(conn net.Conn) *timedConn {
	if c, ok := conn.(*framedConn); ok {
		conn = c.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	l, _ := conn.(*timedConn)
	return l
}
