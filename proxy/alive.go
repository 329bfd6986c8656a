package proxy

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

// lively is the way to a replica's upstream, and tells when that gives a sign of life: an answer, or a body that moves.
// What comes from where it redirects to, or through another gateway, which has a transport of its own, is none.
type lively struct {
	// Static after newLively.
	*resending
	host, address string // of the upstream, in its URL and to connect to
	dialOnce      func(ctx context.Context, network, address string) (net.Conn, error)
	patience      time.Duration // to connect, while others are answered
	alive         func(at time.Time)
	made          time.Time

	latest atomic.Int64 // sign of life, in nanoseconds from made
}

func newLively(t *resending, u Upstream, l Limits, alive func(replica string, at time.Time)) *lively {
	port := cmp.Or(u.URL.Port(), map[string]string{"http": "80", "https": "443"}[u.URL.Scheme])
	way := &lively{
		resending: t, host: u.URL.Host, address: net.JoinHostPort(u.URL.Hostname(), port), dialOnce: t.pool.DialContext,
		patience: l.Alone, alive: func(at time.Time) { alive(u.Name, at) }, made: time.Now(),
	}
	t.pool.DialContext, t.fresh.DialContext = way.dial, way.dial
	return way
}

// dial tries again what has timed out while the replica answered others: it is busy, or this machine is. A replica that
// nothing reaches any more answers nobody, and is given up at once, so that another one can be asked.
func (l *lively) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for first := time.Now(); ; {
		began := time.Now()
		conn, err := l.dialOnce(ctx, network, address)
		var failed net.Error
		switch {
		case err == nil:
			return &line{Conn: conn, made: time.Now()}, nil
		case !errors.As(err, &failed) || !failed.Timeout() || ctx.Err() != nil:
			return nil, err
		case address != l.address || !l.aliveSince(began) || time.Since(first) >= l.patience:
			return nil, err
		}
	}
}

func (l *lively) tell(at time.Time) {
	// Of two at once the earlier may stay: the next one is not far.
	if since := int64(at.Sub(l.made)); since > l.latest.Load() {
		l.latest.Store(since)
	}
	l.alive(at)
}

func (l *lively) aliveSince(moment time.Time) bool {
	return l.made.Add(time.Duration(l.latest.Load())).After(moment)
}

func (l *lively) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != l.host {
		return l.resending.RoundTrip(r)
	}
	var over atomic.Pointer[line]
	trace := httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { over.Store(lineOf(got.Conn)) }}
	response, err := l.resending.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &trace)))
	if err != nil || !serves(response.StatusCode) {
		return response, err
	}
	l.tell(time.Now())
	if from := over.Load(); from != nil && response.Body != http.NoBody {
		response.Body = movingBody{response.Body, from, l.tell}
	}
	return response, nil
}

// serves: a refusal shows that a registry is there. 429 is alive for probes as well. With 5xx it says itself that it
// fails, or somebody before it does that it is gone.
func serves(status int) bool { return 200 <= status && status < 500 }

// movingBody tells of what comes of a body: of a large one, on a line that it fills, for minutes nothing else does.
type movingBody struct {
	io.ReadCloser
	from *line
	tell func(at time.Time)
}

func (b movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.tell(b.from.cameAfter())
	}
	return n, err
}

// line is a connection that knows since when what is read from it cannot have been there. What a replica has sent waits
// here for a slow client, megabytes of it, and shows nothing if the replica has died since.
type line struct {
	net.Conn
	made time.Time

	// Nanoseconds from made.
	empty atomic.Int64 // when all that had come was read
	came  atomic.Int64 // the last thing that was read came after this
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.came.Store(l.empty.Load())
	}
	if n < len(p) {
		l.empty.Store(int64(time.Since(l.made)))
	}
	return n, err
}

func (l *line) cameAfter() time.Time { return l.made.Add(time.Duration(l.came.Load())) }

// lineOf is nil for a connection that is none of ours.
func lineOf(conn net.Conn) *line {
	if c, ok := conn.(*wholeConn); ok {
		conn = c.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	l, _ := conn.(*line)
	return l
}
