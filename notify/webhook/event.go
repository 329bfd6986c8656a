// Package webhook tells subscribers what happens in the registry: ACR's payloads, kept on disk until they are
// delivered.
package webhook

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// chartConfig is the media type of the config that makes a manifest a Helm chart.
const chartConfig = "application/vnd.cncf.helm.config.v1+json"

// PushOf is what a push of a manifest is called whose config has this media type.
func PushOf(configMediaType string) subscription.Action {
	if configMediaType == chartConfig {
		return subscription.ChartPush
	}
	return subscription.Push
}

// DeleteOf is what a deletion of a manifest is called whose config had this media type.
func DeleteOf(configMediaType string) subscription.Action {
	if configMediaType == chartConfig {
		return subscription.ChartDelete
	}
	return subscription.Delete
}

// Event is one thing that happened. Two with the same ID are the same.
type Event struct {
	ID      string
	Time    time.Time
	Action  subscription.Action
	Region  string // where; empty for what belongs to no region, as Replicated does
	Target  Target
	Request Request // what brought it about; not told for charts
}

// Target is what it happened to.
type Target struct {
	MediaType  string
	Size       int64
	Digest     string
	Repository string
	Tag        string // empty: by digest
}

// Request is what a client asked for.
type Request struct {
	ID        string
	Host      string
	Method    string
	UserAgent string
}

// Bounds of an event's fields, in bytes. What a client chose freely is cut to maxClientField; all else is refused.
const (
	maxID          = 128
	maxField       = 300
	maxClientField = 1024
)

func (e Event) check() error {
	var errs []error
	if e.ID == "" || len(e.ID) > maxID {
		errs = append(errs, fmt.Errorf("id must have 1 to %d bytes", maxID))
	}
	if e.Time.IsZero() {
		errs = append(errs, errors.New("time is missing"))
	}
	for name, value := range map[string]string{
		"region": e.Region, "media type": e.Target.MediaType, "digest": e.Target.Digest,
		"repository": e.Target.Repository, "tag": e.Target.Tag,
	} {
		if len(value) > maxField {
			errs = append(errs, fmt.Errorf("%s must have at most %d bytes", name, maxField))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("event: %w", errors.Join(errs...))
	}
	return nil
}
