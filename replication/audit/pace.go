package audit

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/fairlead-gateway/fairlead/transfer"
)

// pace bounds all requests of audits to one replica.
type pace struct {
	rate     *rate.Limiter
	inFlight *semaphore.Weighted // requests, until they are answered
}

func (l *pace) wait(ctx context.Context) error {
	if err := l.inFlight.Acquire(ctx, 1); err != nil {
		return err
	}
	err := l.rate.Wait(ctx)
	if err != nil {
		l.inFlight.Release(1)
	}
	return err
}

// paced is a transport whose requests keep to a pace.
type paced struct {
	http.RoundTripper
	limit *pace
}

func (l paced) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.limit.wait(r.Context()); err != nil {
		if r.Body != nil {
			r.Body.Close() // as all transports do
		}
		return nil, err
	}
	defer l.limit.inFlight.Release(1)
	return l.RoundTripper.RoundTrip(r)
}

// reach is how to reach a replica, at the pace of audits.
func (a *Audit) reach(replica string) transfer.Replica {
	a.mu.Lock()
	if a.paces[replica] == nil {
		a.paces[replica] = &pace{rate.NewLimiter(perSecond, batchSize), semaphore.NewWeighted(inFlight)}
	}
	limit := a.paces[replica]
	a.mu.Unlock()
	r := a.Gateway.Reach(replica)
	r.Name = replica
	r.Transport = paced{r.Transport, limit}
	return r
}

// retry repeats a request whose error may pass.
func (a *Audit) retry(ctx context.Context, ask func() error) error {
	for n := range maxAttempts {
		err := ask()
		if err == nil || n == maxAttempts-1 || !transfer.Passing(err) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(a.retryDelay << n)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
	return nil
}
