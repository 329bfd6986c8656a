package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/webhook"
)

const (
	hooksEvery = 250 * time.Millisecond // to look costs next to nothing
	hooksPage  = 100                    // events that are told of before they are forgotten
	maxOpen    = 16_384                 // pushes that not every replica has; of more, subscribers are not told when they are everywhere
)

// hooks tells subscribers of what was recorded here, and when every replica has what was pushed here.
type hooks struct {
	// Static after newHooks.
	*webhook.Service
	ledger *ledger.Ledger
	takers func(repository string) []string // the replicas that a push is copied to
	own    webhook.Request                  // of copies
	log    *slog.Logger

	// Of the goroutine that runs tell.
	remembered bool     // what was open before the start is
	read       uint64   // number of the last event that was told of
	done       []uint64 // events that can be forgotten
	failed     bool     // it is known that it does not work just now

	mu   sync.Mutex
	open map[ledger.Reference]*openPush // Guarded by mu. At most maxOpen.
}

// openPush is a push that not every replica has, as far as is known.
type openPush struct {
	ledger.Event
	progress progress // guarded by hooks.mu
}

// openHooks hears from now on what is recorded, also by other gateways.
func openHooks(c *configs.Config, release string, kept *record, reg prometheus.Registerer, log *slog.Logger) (*hooks, error) {
	trust, err := c.WebhooksCA.Client("")
	if err != nil {
		return nil, fmt.Errorf("webhooks_ca: %w", err)
	}
	config := webhook.Config{
		Dir: c.State, AllowPrivate: c.WebhooksPrivate, TLS: trust, Now: time.Now, Log: log, Registerer: reg,
	}
	for _, r := range c.Replicas {
		config.Regions = append(config.Regions, r.Name)
	}
	for _, w := range c.Webhooks {
		config.InFile = append(config.InFile, subscriptionOf(w))
	}
	service, err := webhook.Open(config)
	if errors.Is(err, webhook.ErrDamaged) {
		log.Error("webhooks that commands made, and what was not yet delivered, are lost", "error", err)
		service, err = webhook.Open(config)
	}
	if err != nil && c.State != "" { // as with the record, what can go on does
		log.Error("webhooks that commands made, and what was not yet delivered, are not known before a restart: `state` cannot be opened", "error", err)
		config.Dir = ""
		service, err = webhook.Open(config)
	}
	if err != nil {
		return nil, err
	}
	h := &hooks{
		Service: service, ledger: kept.ledger, takers: takersOf(c), log: log, open: map[ledger.Reference]*openPush{},
		own: webhook.Request{Host: c.Hostname, UserAgent: "fairlead/" + release},
	}
	before := kept.news
	kept.news = func(entries []ledger.Entry) { before(entries); h.heard(entries) }
	return h, nil
}

// takersOf depends on the file alone.
func takersOf(c *configs.Config) func(repository string) []string {
	return func(repository string) (names []string) {
		for _, r := range c.Replicas {
			leftOut := slices.ContainsFunc(c.Replication.Filters, func(f configs.Filter) bool { return f.LeavesOut(r.Name, repository) })
			if r.Write && r.State != configs.StateOffline && !leftOut {
				names = append(names, r.Name)
			}
		}
		return names
	}
}

func subscriptionOf(w configs.Webhook) webhook.Subscription {
	s := webhook.Subscription{
		Name: w.Name, Location: w.Location, ServiceURI: w.URI, CustomHeaders: w.Headers, Scope: w.Scope, Status: webhook.Status(w.Status), Secret: w.Secret,
	}
	for _, a := range w.Actions {
		s.Actions = append(s.Actions, webhook.Action(a))
	}
	return s
}

// remember finds what was told of before and is still open: the other events up to that one were forgotten.
func (h *hooks) remember() (err error) {
	if h.read, err = h.ledger.Read(); err != nil {
		return err
	}
	for after := uint64(0); after < h.read; {
		events, err := h.ledger.Events(after, hooksPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			if after = e.Number; after <= h.read {
				h.begin(e)
			}
		}
		if len(events) < hooksPage {
			break
		}
	}
	return h.look(slices.Collect(maps.Keys(h.open))...)
}

// run tells and delivers until ctx ends.
func (h *hooks) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { h.Run(ctx) })
	every(ctx, hooksEvery, func() {
		err := h.tell()
		if err != nil && !h.failed {
			h.log.Error("subscribers are not told of pushes and deletions; it is tried again", "error", err)
		}
		h.failed = err != nil
	})
}

// tell publishes all that was recorded since. What is published is on disk before it is forgotten here, and what is published
// again has the same ID.
func (h *hooks) tell() error {
	if !h.remembered {
		if err := h.remember(); err != nil {
			return err
		}
		h.remembered = true
	}
	for {
		before := h.read
		events, err := h.ledger.Events(before, hooksPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err = h.tellOf(e); err != nil {
				break
			}
		}
		if err == nil && len(events) < hooksPage {
			err = h.settle()
		}
		if len(h.done) > 0 || h.read != before {
			if trimmed := h.ledger.Trim(h.read, h.done); trimmed != nil {
				return errors.Join(err, trimmed)
			}
			h.done = nil
		}
		if err != nil || len(events) < hooksPage {
			return err
		}
	}
}

func (h *hooks) tellOf(e ledger.Event) error {
	told, ok := eventOf(e, h.own)
	if ok && e.Kind == ledger.Pushed { // in place of an earlier push of that name
		if err := h.end(e.Entry.Reference); err != nil {
			return err
		}
	}
	if ok {
		if err := h.Publish(told); err != nil {
			return err
		}
	}
	if ok && e.Kind == ledger.Pushed {
		h.begin(e)
		if err := h.look(e.Entry.Reference); err != nil {
			return err
		}
	} else {
		h.heard([]ledger.Entry{e.Entry})
		h.done = append(h.done, e.Number)
	}
	h.read = e.Number
	return nil
}

// begin opens a push.
func (h *hooks) begin(e ledger.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.open) >= maxOpen {
		h.log.Warn("too many pushes are not everywhere yet: nobody will be told when this one is",
			"repository", e.Entry.Repository, "reference", e.Entry.Name)
		h.done = append(h.done, e.Number)
		return
	}
	h.open[e.Entry.Reference] = &openPush{Event: e}
}

// look asks the ledger how far pushes have come.
func (h *hooks) look(references ...ledger.Reference) error {
	for _, what := range references {
		now, known, err := h.ledger.Get(what)
		if err != nil {
			return err
		}
		if known {
			h.heard([]ledger.Entry{now})
		}
	}
	return nil
}

// heard takes note of what is known of pushes by now, from here or from another gateway. That one was everywhere stays true,
// whatever comes after it.
func (h *hooks) heard(entries []ledger.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, now := range entries {
		if o := h.open[now.Reference]; o != nil && o.progress != everywhere {
			o.progress = progressOf(o.Entry.Stamp, now, h.takers(now.Repository))
		}
	}
}

// settle ends the pushes that are everywhere, and those that will never be.
func (h *hooks) settle() error {
	h.mu.Lock()
	var ended []openPush
	for _, o := range h.open {
		if o.progress != underWay {
			ended = append(ended, *o)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(ended, func(a, b openPush) int { return cmp.Compare(a.Number, b.Number) })
	for _, o := range ended {
		if err := h.end(o.Entry.Reference); err != nil {
			return err
		}
	}
	return nil
}

// end closes a push, if it is open, and tells of it if it is everywhere.
func (h *hooks) end(what ledger.Reference) error {
	h.mu.Lock()
	o := h.open[what]
	whole := o != nil && o.progress == everywhere
	h.mu.Unlock()
	if o == nil {
		return nil
	}
	if whole {
		if err := h.Publish(everywhereOf(o.Event, h.own, time.Now())); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, o.Number)
	delete(h.open, what)
	return nil
}
