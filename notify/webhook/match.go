package webhook

import (
	"slices"
	"strings"
)

// Matches reports whether a subscription is told of an event.
func Matches(s Subscription, e Event) bool {
	in, err := parseScope(s.Scope)
	return err == nil && s.Status == Enabled && slices.Contains(s.Actions, e.Action) && in.holds(e.Target) &&
		(s.Location == "" || e.Region == "" || strings.EqualFold(s.Location, e.Region)) && !ofTag(e)
}

// ofTag: nobody is told when a tag is deleted and its manifest stays. What is deleted by tag comes without a digest; an
// image's deletion never has a tag.
func ofTag(e Event) bool {
	switch e.Action {
	case Delete:
		return e.Target.Digest == "" || e.Target.Tag != ""
	case ChartDelete:
		return e.Target.Digest == ""
	}
	return false
}
