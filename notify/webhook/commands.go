package webhook

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Why a command is refused, besides ErrInvalid.
var (
	ErrUnknown  = errors.New("there is no such webhook")
	ErrExists   = errors.New("there is a webhook of that name")
	ErrInFile   = errors.New("the webhook is in the file, and changed there")
	ErrTooMany  = fmt.Errorf("there may be %d webhooks", subscription.MaxSubscriptions)
	ErrDisabled = errors.New("the webhook is disabled")
)

// Change is what an update changes; nil stays as it is. A webhook's name and location stay.
type Change struct {
	ServiceURI    *string               `json:"serviceUri"`
	CustomHeaders map[string]string     `json:"customHeaders"` // all of them anew; empty: none
	Actions       []subscription.Action `json:"actions"`
	Scope         *string               `json:"scope"`
	Status        *subscription.Status  `json:"status"`
	Secret        *string               `json:"secret"`
}

// List has all subscriptions by name, what is secret masked.
func (s *Service) List() []subscription.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []subscription.Subscription{}
	for _, sub := range s.subscriptions {
		out = append(out, sub.Masked())
	}
	slices.SortFunc(out, byName)
	return out
}

// Get is one subscription, what is secret masked.
func (s *Service) Get(name string) (subscription.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, ok := s.subscriptions[keyOf(name)]
	if !ok {
		return subscription.Subscription{}, ErrUnknown
	}
	return sub.Masked(), nil
}

// Create adds a subscription; an empty status is enabled.
func (s *Service) Create(sub subscription.Subscription) (subscription.Subscription, error) {
	if sub.Status == "" {
		sub.Status = subscription.Enabled
	}
	sub.InFile = false
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := sub.Check(s.regions); err != nil {
		return subscription.Subscription{}, err
	}
	if _, exists := s.subscriptions[keyOf(sub.Name)]; exists {
		return subscription.Subscription{}, ErrExists
	}
	if len(s.subscriptions) >= subscription.MaxSubscriptions {
		return subscription.Subscription{}, ErrTooMany
	}
	return s.saveSubscription(sub)
}

// Update changes a subscription that commands made.
func (s *Service) Update(name string, c Change) (subscription.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.changeable(name)
	if err != nil {
		return subscription.Subscription{}, err
	}
	c.apply(&sub)
	// The file may have lost its region.
	if err := sub.Check(slices.Concat(s.regions, []string{sub.Location})); err != nil {
		return subscription.Subscription{}, err
	}
	return s.saveSubscription(sub)
}

func (c Change) apply(sub *subscription.Subscription) {
	setIfGiven(&sub.ServiceURI, c.ServiceURI)
	setIfGiven(&sub.Scope, c.Scope)
	setIfGiven(&sub.Status, c.Status)
	setIfGiven(&sub.Secret, c.Secret)
	if c.CustomHeaders != nil {
		sub.CustomHeaders = c.CustomHeaders
	}
	if c.Actions != nil {
		sub.Actions = c.Actions
	}
}

func setIfGiven[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// saveSubscription stores a subscription, and has Run look at it. It needs mu. What it keeps is its own: whoever called
// may change theirs.
func (s *Service) saveSubscription(sub subscription.Subscription) (subscription.Subscription, error) {
	sub.Actions, sub.CustomHeaders = slices.Clone(sub.Actions), maps.Clone(sub.CustomHeaders)
	if err := s.store.saveSubscription(keyOf(sub.Name), sub); err != nil {
		return subscription.Subscription{}, err
	}
	s.subscriptions[keyOf(sub.Name)] = sub
	s.wakeRun()
	return sub.Masked(), nil
}

// Delete takes a subscription away that commands made, with what is queued for it and its log.
func (s *Service) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.changeable(name); err != nil {
		return err
	}
	if err := s.store.removeSubscription(keyOf(name)); err != nil {
		return err
	}
	delete(s.subscriptions, keyOf(name))
	return nil
}

// changeable is a subscription that commands may change. It needs mu.
func (s *Service) changeable(name string) (subscription.Subscription, error) {
	sub, ok := s.subscriptions[keyOf(name)]
	switch {
	case !ok:
		return sub, ErrUnknown
	case sub.InFile:
		return sub, ErrInFile
	}
	return sub, nil
}

// Ping queues a ping for one webhook, whatever it subscribes to, and returns its ID.
func (s *Service) Ping(name string) (id string, err error) {
	sub, err := s.Get(name)
	if err != nil {
		return "", err
	}
	if sub.Status != subscription.Enabled {
		return "", ErrDisabled
	}
	e := Event{ID: newID(), Time: s.now(), Action: subscription.Ping}
	return e.ID, s.enqueue([]string{keyOf(name)}, e)
}

// ListEvents has what was and is to be delivered to one webhook: what is pending first, each the newest first.
func (s *Service) ListEvents(name string) ([]Delivery, error) {
	if _, err := s.Get(name); err != nil {
		return nil, err
	}
	return s.store.list(keyOf(name))
}

// newID is a random UUID, as ACR's are.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
