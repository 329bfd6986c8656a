package webhook

import (
	"testing"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

func receiver(uri string) subscription.Subscription {
	return subscription.Subscription{Name: "hook1", ServiceURI: uri, Actions: subscription.Actions(),
		Status: subscription.Enabled}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		name   string
		sub    func(*subscription.Subscription)
		event  func(*Event)
		expect bool
	}{
		{"all of it", func(*subscription.Subscription) {}, func(*Event) {}, true},
		{"another action", func(s *subscription.Subscription) { s.Actions = []subscription.Action{subscription.Delete} },
			func(*Event) {}, false},
		{"disabled", func(s *subscription.Subscription) { s.Status = subscription.Disabled }, func(*Event) {}, false},
		{"its region", func(s *subscription.Subscription) { s.Location = "WestUS" }, func(*Event) {}, true},
		{"another region", func(s *subscription.Subscription) { s.Location = "eastus" }, func(*Event) {}, false},
		{"no region's event", func(s *subscription.Subscription) { s.Location = "eastus" },
			func(e *Event) { e.Action, e.Region = subscription.Replicated, "" }, true},
		{"repository", func(s *subscription.Subscription) { s.Scope = "app:*" }, func(*Event) {}, true},
		{"repository without a tag", func(s *subscription.Subscription) { s.Scope = "app:*" },
			func(e *Event) { e.Target.Tag = "" }, true},
		{"repository below", func(s *subscription.Subscription) { s.Scope = "app:*" },
			func(e *Event) { e.Target.Repository = "app/sub" }, false},
		{"longer name", func(s *subscription.Subscription) { s.Scope = "app:*" },
			func(e *Event) { e.Target.Repository = "apple" }, false},
		{"tag", func(s *subscription.Subscription) { s.Scope = "app:v1" }, func(*Event) {}, true},
		{"another tag", func(s *subscription.Subscription) { s.Scope = "app:v2" }, func(*Event) {}, false},
		{"a tag's scope, no tag", func(s *subscription.Subscription) { s.Scope = "app:v1" },
			func(e *Event) { e.Target.Tag = "" }, false},
		{"bare means latest", func(s *subscription.Subscription) { s.Scope = "app" },
			func(e *Event) { e.Target.Tag = "latest" }, true},
		{"bare is no wildcard", func(s *subscription.Subscription) { s.Scope = "app" }, func(*Event) {}, false},
		{"a scope that is none", func(s *subscription.Subscription) { s.Scope = "*" }, func(*Event) {}, false},
		{"manifest deleted", func(*subscription.Subscription) {}, func(e *Event) {
			e.Action,
				e.Target.Tag = subscription.Delete, ""
		}, true},
		{"tag deleted", func(*subscription.Subscription) {}, func(e *Event) { e.Action = subscription.Delete }, false},
		{"tag deleted, digest unknown", func(*subscription.Subscription) {},
			func(e *Event) { e.Action, e.Target.Digest = subscription.Delete, "" }, false},
		{"chart deleted", func(*subscription.Subscription) {}, func(e *Event) { e.Action = subscription.ChartDelete },
			true},
		{"chart's tag deleted", func(*subscription.Subscription) {},
			func(e *Event) { e.Action, e.Target.Digest = subscription.ChartDelete, "" }, false},
		{"nobody subscribes to pings", func(*subscription.Subscription) {},
			func(e *Event) { e.Action = subscription.Ping },
			false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sub, event := receiver("https://hooks.contoso.com"), image("e1")
			test.sub(&sub)
			test.event(&event)
			if got := matches(sub, event); got != test.expect {
				t.Errorf("got %v", got)
			}
		})
	}
}
