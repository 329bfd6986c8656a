package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// Bounds of all webhooks together, and of each.
const (
	maxPending  = 100_000 // over all webhooks
	maxLogged   = 1000    // for each webhook
	maxInFlight = 4       // for each webhook
)

// Config is what a Service needs.
type Config struct {
	Dir string // of the file webhooks.db; empty: it ends with the process
	Settings
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Service keeps subscriptions, and events until their receivers have them.
type Service struct {
	// Static after Open.
	store   *store
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{} // of one: something may be due

	// Guarded by mu.
	mu            sync.Mutex
	subscriptions map[string]subscription.Subscription // by key
	regions       []string
	transport     http.RoundTripper
	inFlight      map[string]map[uint64]bool // numbers, by the key of their queue
}

// Open reads what was left. Only one process may have a directory open.
func Open(c Config) (*Service, error) { return open(c, maxPending, maxLogged) }

func open(c Config, maxPending int64, maxLogged uint64) (*Service, error) {
	s := &Service{
		regions: c.Regions, now: c.Now, log: c.Log, transport: newTransport(c.AllowPrivate, c.TLS),
		wake:     make(chan struct{}, 1),
		inFlight: map[string]map[uint64]bool{},
	}
	var err error
	if s.subscriptions, err = c.inFile(); err != nil {
		return nil, err
	}
	if s.store, err = openStore(c.Dir, maxPending, maxLogged); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.store.close())
	}
	s.metrics = newMetrics(c.Registerer, func() float64 { return float64(s.store.pending()) })
	return s, nil
}

// load adds what commands made before. Where the file has the same name, the file counts.
func (s *Service) load() error {
	inFile := slices.Collect(maps.Keys(s.subscriptions))
	stored, err := s.store.subscriptions()
	if err != nil {
		return err
	}
	for _, sub := range stored {
		if _, shadowed := s.subscriptions[keyOf(sub.Name)]; shadowed {
			s.log.Warn("the file's webhook takes the place of one made by command", "webhook", sub.Name)
			continue
		}
		s.subscriptions[keyOf(sub.Name)] = sub
	}
	return s.reconcile(inFile)
}

// Close ends it, after Run has ended.
func (s *Service) Close() error { return s.store.close() }

// Publish queues an event for all that subscribe to it. What it returns nil for is on disk. An event that a webhook has
// in its queue or its log is not queued for it again.
func (s *Service) Publish(e Event) error {
	if err := e.check(); err != nil {
		return err
	}
	var keys []string
	s.mu.Lock()
	for key, sub := range s.subscriptions {
		if matches(sub, e) {
			keys = append(keys, key)
		}
	}
	s.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return s.enqueue(keys, e)
}

func (s *Service) enqueue(keys []string, e Event) error {
	body, err := payloadOf(e)
	if err != nil {
		return err
	}
	gone, err := s.store.publish(keys, Delivery{ID: e.ID, State: Pending, Next: s.now(),
		Request: RequestMessage{Content: body}})
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	for _, g := range gone {
		s.metrics.ended.WithLabelValues(string(Dropped)).Inc()
		s.log.Warn("a webhook's oldest event was dropped: the queue is full", "webhook", g.key, "id", g.id)
	}
	s.wakeRun()
	return nil
}

// wakeRun makes Run look anew. Who does not get through need not: Run is about to look.
func (s *Service) wakeRun() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keyOf is the key of a webhook's name: names differ in more than case.
func keyOf(name string) string { return strings.ToLower(name) }

func byName(a, b subscription.Subscription) int { return cmp.Compare(keyOf(a.Name), keyOf(b.Name)) }
