package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Settings are what may change while a Service runs.
type Settings struct {
	InFile       []subscription.Subscription // the file's
	Regions      []string                    // a location is one of them
	AllowPrivate bool                        // whether receivers may be on loopback and in private networks
	TLS          *tls.Config                 // whose certificates receivers may have; nil: those that the system trusts
}

// inFile has the file's subscriptions by key.
func (s Settings) inFile() (map[string]subscription.Subscription, error) {
	all := map[string]subscription.Subscription{}
	var errs []error
	for _, sub := range s.InFile {
		if _, twice := all[keyOf(sub.Name)]; twice {
			errs = append(errs, fmt.Errorf("%w: two are called %s", subscription.ErrInvalid, sub.Name))
		}
		if err := sub.Check(s.Regions); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", sub.Name, err))
		}
		sub.InFile = true
		all[keyOf(sub.Name)] = sub
	}
	if len(all) > subscription.MaxSubscriptions {
		errs = append(errs, ErrTooMany)
	}
	return all, errors.Join(errs...)
}

// Prepare checks other settings, which swap has the Service go by. What is queued stays, but for what was queued for a
// webhook that the file has no more. Attempts under way end as they began.
func (s *Service) Prepare(to Settings) (swap func(), err error) {
	inFile, err := to.inFile()
	if err != nil {
		return nil, err
	}
	transport := newTransport(to.AllowPrivate, to.TLS)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		all := maps.Clone(inFile)
		for key, sub := range s.subscriptions {
			if _, shadowed := all[key]; !shadowed && !sub.InFile {
				all[key] = sub
			}
		}
		s.subscriptions, s.regions, s.transport = all, to.Regions, transport
		if err := s.reconcile(slices.Collect(maps.Keys(inFile))); err != nil {
			s.log.Error("the file's webhooks cannot be noted: what is published for new ones is lost", "error", err)
		}
		s.wakeRun()
	}, nil
}

// reconcile makes the queues those of the subscriptions. It needs mu.
func (s *Service) reconcile(inFile []string) error {
	return s.store.reconcileQueues(inFile, func(key string) bool {
		_, belongs := s.subscriptions[key]
		if !belongs {
			s.log.Warn("a webhook is no longer in the file: what was queued for it goes", "webhook", key)
		}
		return belongs
	})
}

func (s *Service) way() http.RoundTripper {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}
