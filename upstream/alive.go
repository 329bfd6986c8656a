package upstream

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// signs are those that a replica's upstream gives of its life: an answer, or a body that moves. What comes from where
// it redirects to, or through another gateway, which has a client of its own, is none.
type signs struct {
	// Static after newSigns.
	address  string // of the upstream, to connect to
	dialOnce func(ctx context.Context, network, address string) (net.Conn, error)
	patience time.Duration // to connect, while others are answered
	alive    func(at time.Time)
	made     time.Time

	latest atomic.Int64 // in nanoseconds from made
}

func newSigns(
	dial dialFunc, e Endpoint, patience time.Duration, alive func(replica string, at time.Time),
) *signs {
	port := cmp.Or(e.URL.Port(), map[string]string{"http": "80", "https": "443"}[e.URL.Scheme])
	return &signs{
		address: net.JoinHostPort(e.URL.Hostname(), port), dialOnce: dial, patience: patience,
		alive: func(at time.Time) { alive(e.Name, at) }, made: time.Now(),
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dial tries again what has timed out while the replica answered others: it is busy, or this machine is. A replica that
// nothing reaches any more answers nobody, and is given up at once, so that another one can be asked.
func (s *signs) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for first := time.Now(); ; {
		began := time.Now()
		conn, err := s.dialOnce(ctx, network, address)
		var failed net.Error
		switch {
		case err == nil:
			return conn, nil
		case !errors.As(err, &failed) || !failed.Timeout() || ctx.Err() != nil:
			return nil, err
		case address != s.address || !s.since(began) || time.Since(first) >= s.patience:
			return nil, err
		}
	}
}

func (s *signs) tell(at time.Time) {
	// Of two at once the earlier may stay: the next one is not far.
	if since := int64(at.Sub(s.made)); since > s.latest.Load() {
		s.latest.Store(since)
	}
	s.alive(at)
}

// since reports whether one came after a moment.
func (s *signs) since(moment time.Time) bool {
	return s.made.Add(time.Duration(s.latest.Load())).After(moment)
}

// hear takes an answer for a sign, and what moves of its body: of a large one, on a line that it fills, for minutes
// nothing else comes.
func (s *signs) hear(response *http.Response) {
	if !serves(response.StatusCode) {
		return
	}
	s.tell(time.Now())
	if body, ok := response.Body.(*h1.Body); ok {
		body.Moved = s.tell
	}
}

// serves reports whether a status is a sign of life. A refusal shows that a registry is there. 429 is alive for probes
// as well. With 5xx it says itself that it fails, or somebody before it does that it is gone.
func serves(status int) bool { return 200 <= status && status < 500 }
