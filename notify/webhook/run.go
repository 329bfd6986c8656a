package webhook

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Run delivers until ctx ends, and returns when no attempt is under way any more. What is not delivered then is
// delivered by the next Run. Each webhook has attempts of its own, so that nobody waits for another's receiver; they
// begin in the order of publication, what failed steps aside until it is due again, and at most maxInFlight are under
// way.
func (s *Service) Run(ctx context.Context) {
	var attempts sync.WaitGroup
	defer attempts.Wait()
	for ctx.Err() == nil {
		timer := time.NewTimer(s.beginDue(ctx, &attempts))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// beginDue begins what is due, and returns when to look again.
func (s *Service) beginDue(ctx context.Context, attempts *sync.WaitGroup) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := maxWait
	for key, sub := range s.subscriptions {
		busy := s.inFlight[key]
		if sub.Status != subscription.Enabled || len(busy) >= maxInFlight {
			continue
		}
		list, next, err := s.store.due(key, s.now(), maxInFlight-len(busy), busy)
		if err != nil {
			s.log.Error("a webhook's queue cannot be read", "webhook", sub.Name, "error", err)
			wait = min(wait, storeWait)
			continue
		}
		for _, d := range list {
			if s.inFlight[key] == nil {
				s.inFlight[key] = map[uint64]bool{}
			}
			s.inFlight[key][d.n] = true
			attempts.Go(func() { s.attempt(ctx, sub, d) })
		}
		// Where all attempts are taken, the first that ends wakes us.
		if !next.IsZero() && len(s.inFlight[key]) < maxInFlight {
			wait = min(wait, max(next.Sub(s.now()), 0))
		}
	}
	return wait
}

func (s *Service) attempt(ctx context.Context, sub subscription.Subscription, d numbered) {
	key := keyOf(sub.Name)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.inFlight[key], d.n)
		if len(s.inFlight[key]) == 0 {
			delete(s.inFlight, key)
		}
		s.wakeRun()
	}()
	o := s.send(ctx, sub, d.Delivery)
	if o.err != nil && ctx.Err() != nil {
		return // we broke it off: that is no attempt
	}
	s.metrics.attempts.WithLabelValues(string(o.result)).Inc()
	d.Delivery = d.after(o, s.now(), rand.Float64())
	s.log.Debug("webhook", "webhook", sub.Name, "id", d.ID, "result", o.result, "attempts", d.Attempts, "state",
		d.State,
		"error", d.Error)
	if !s.saveAttempt(ctx, key, d) || d.State == Pending {
		return
	}
	s.metrics.ended.WithLabelValues(string(d.State)).Inc()
	if d.State == Dead {
		s.log.Warn("a webhook's event was given up", "webhook", sub.Name, "id", d.ID, "attempts", d.Attempts, "error",
			d.Error)
	}
}

// storeWait is how long to wait where the disk refuses.
const storeWait = 5 * time.Second

// saveAttempt writes until it is written or ctx ends, and reports whether the delivery was still there. Until then it
// counts as under way: it must not be sent again because it could not be noted that it was.
func (s *Service) saveAttempt(ctx context.Context, key string, d numbered) (there bool) {
	for {
		there, err := s.store.attempted(key, d)
		if err == nil {
			return there
		}
		s.log.Error("what came of a webhook's attempt cannot be kept", "webhook", key, "error", err)
		timer := time.NewTimer(storeWait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}
