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
	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
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
func openHooks(c *configs.Config, release string, l *ledger.Ledger, reg prometheus.Registerer,
	log *slog.Logger) (*hooks, error) {
	trust, err := keyfiles.Client{Of: "webhooks", Trust: c.WebhooksCA}.Config()
	if err != nil {
		return nil, err
	}
	config := webhook.Config{
		Dir: c.State, InFile: c.Webhooks, AllowPrivate: c.WebhooksPrivate, TLS: trust, Now: time.Now, Log: log,
		Registerer: reg,
	}
	for _, r := range c.Replicas {
		config.Regions = append(config.Regions, r.Name)
	}
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
		Ledger: l, Publish: service.Publish, Takers: takersOf(c), Log: log,
		Own: webhook.Request{Host: c.Hostname, UserAgent: "fairlead/" + release},
	})
	l.Subscribe(func(c ledger.Change) { n.Heard(c.Entries) })
	return &hooks{service, n}, nil
}

// takersOf depends on the file alone.
func takersOf(c *configs.Config) func(repository string) []string {
	return func(repository string) (names []string) {
		for _, r := range c.Replicas {
			leftOut := slices.ContainsFunc(c.Replication.Filters,
				func(f configs.Filter) bool { return f.LeavesOut(r.Name, repository) })
			if r.Write && r.State != configs.StateOffline && !leftOut {
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
