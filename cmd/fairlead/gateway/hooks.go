package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
)

// hooks are the subscriptions, and what they are told of.
type hooks struct {
	*webhook.Service
	notifier *notify.Notifier
}

// openHooks hears from now on what is recorded, also by other gateways.
func openHooks(file func() *configs.Config, release string, l *ledger.Ledger, reg prometheus.Registerer,
	log *slog.Logger) (*hooks, error) {
	c := file()
	settings, err := hookSettings(c)
	if err != nil {
		return nil, err
	}
	config := webhook.Config{Dir: c.State, Settings: settings, Now: time.Now, Log: log, Registerer: reg}
	service, err := webhook.Open(config)
	if errors.Is(err, webhook.ErrDamaged) {
		log.Error("webhooks that commands made, and what was not yet delivered, are lost", "error", err)
		service, err = webhook.Open(config)
	}
	if err != nil && c.State != "" { // as with the ledger, what can go on does
		log.Error("webhooks that commands made, and what was not yet delivered, are not known before a restart: `state` cannot be opened", "error", err)
		config.Dir = ""
		service, err = webhook.Open(config)
	}
	if err != nil {
		return nil, err
	}
	n := notify.New(notify.Options{
		Ledger: l, Publish: service.Publish, Takers: takersOf(file), Log: log,
		Own: webhook.Request{Host: c.Hostname, UserAgent: "fairlead/" + release},
	})
	l.Subscribe(func(c ledger.Change) { n.Heard(c.Entries) })
	return &hooks{service, n}, nil
}

// takersOf depends on the file alone.
func takersOf(file func() *configs.Config) func(repository string) []string {
	return func(repository string) (names []string) {
		c := file()
		for _, r := range c.Replicas {
			leftOut := slices.ContainsFunc(c.Replication.Filters,
				func(f configs.Filter) bool { return f.LeavesOut(r.Name, repository) })
			if takesCopies(r) && !leftOut {
				names = append(names, r.Name)
			}
		}
		return names
	}
}

// run tells and delivers until ctx ends.
func (h *hooks) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { h.Run(ctx) })
	h.notifier.Run(ctx)
}
