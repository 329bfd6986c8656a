package webhook

import (
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// matches reports whether a subscription is told of an event.
func matches(s subscription.Subscription, e Event) bool {
	in, err := subscription.ParseScope(s.Scope)
	return err == nil && s.Status == subscription.Enabled && slices.Contains(s.Actions, e.Action) &&
		in.Holds(e.Target.Repository, e.Target.Tag) &&
		(s.Location == "" || e.Region == "" || strings.EqualFold(s.Location, e.Region)) && !ofTag(e)
}

// ofTag reports whether an event is the deletion of a tag alone, of which nobody is told: its manifest stays. What is
// deleted by tag comes without a digest; an image's deletion never has a tag.
func ofTag(e Event) bool {
	switch e.Action {
	case subscription.Delete:
		return e.Target.Digest == "" || e.Target.Tag != ""
	case subscription.ChartDelete:
		return e.Target.Digest == ""
	}
	return false
}
