// Package notify tells subscribers of what a gateway has recorded: from the ledger's events to those of webhooks.
package notify

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
)

const (
	every    = 250 * time.Millisecond // to look costs next to nothing
	pageSize = 100                    // events that are told of before they are forgotten
	// maxOpen bounds the pushes that not every replica has; of more, subscribers are not told when they are everywhere
	maxOpen = 16_384
)

// Ledger knows what was pushed and deleted here. Its calls are bounded in time.
type Ledger interface {
	Get(ledger.Reference) (e ledger.Entry, known bool, err error)
	// Events are those after a number, the earliest first.
	Events(after uint64, limit int) ([]ledger.Event, error)
	// Read is the number up to which events were told of before, and Trim keeps it, and forgets these and those of
	// done.
	Read() (uint64, error)
	Trim(read uint64, done []uint64) error
}

// Options are what a Notifier works with.
type Options struct {
	Ledger Ledger
	// Publish returns nil once the event is on disk. What has an ID that was published before is not queued again
	Publish func(webhook.Event) error
	Takers  func(repository string) []string // the replicas that a push is copied to
	Own     webhook.Request                  // of copies: no client's, but ours
	Log     *slog.Logger
}

// Notifier tells subscribers of what was recorded here, and when every replica has what was pushed here.
type Notifier struct {
	// Static after New.
	Options

	// Of the goroutine that runs Run.
	remembered bool     // what was open before the start is
	read       uint64   // number of the last event that was told of
	done       []uint64 // events that can be forgotten
	failed     bool     // it is known that it does not work just now

	mu   sync.Mutex
	open map[ledger.Reference]*openPush // Guarded by mu. At most maxOpen.
}

// New makes a Notifier, which Run starts.
func New(o Options) *Notifier {
	return &Notifier{Options: o, open: map[ledger.Reference]*openPush{}}
}

// openPush is a push that not every replica has, as far as is known.
type openPush struct {
	ledger.Event
	progress progress // guarded by the Notifier's mu
}

// reopenPushes opens what was told of before and is not everywhere: the other events up to that one were forgotten.
func (n *Notifier) reopenPushes() (err error) {
	if n.read, err = n.Ledger.Read(); err != nil {
		return err
	}
	for after := uint64(0); after < n.read; {
		events, err := n.Ledger.Events(after, pageSize)
		if err != nil {
			return err
		}
		for _, e := range events {
			if after = e.Number; after <= n.read {
				n.openPushOf(e)
			}
		}
		if len(events) < pageSize {
			break
		}
	}
	return n.askLedger(slices.Collect(maps.Keys(n.open))...)
}

// Run tells until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := n.publishRecorded()
		if err != nil && !n.failed {
			n.Log.Error("subscribers are not told of pushes and deletions; it is tried again", "error", err)
		}
		n.failed = err != nil
	}
}

// publishRecorded publishes all that was recorded since the last time. What is published is on disk before it is
// forgotten here, and what is published again has the same ID.
func (n *Notifier) publishRecorded() error {
	if !n.remembered {
		if err := n.reopenPushes(); err != nil {
			return err
		}
		n.remembered = true
	}
	for {
		before := n.read
		events, err := n.Ledger.Events(before, pageSize)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err = n.publishOne(e); err != nil {
				break
			}
		}
		if err == nil && len(events) < pageSize {
			err = n.closeFinished()
		}
		if len(n.done) > 0 || n.read != before {
			if trimmed := n.Ledger.Trim(n.read, n.done); trimmed != nil {
				return errors.Join(err, trimmed)
			}
			n.done = nil
		}
		if err != nil || len(events) < pageSize {
			return err
		}
	}
}

func (n *Notifier) publishOne(e ledger.Event) error {
	told, ok := eventOf(e, n.Own)
	if ok && e.Kind == ledger.Pushed { // in place of an earlier push of that name
		if err := n.closePush(e.Entry.Reference); err != nil {
			return err
		}
	}
	if ok {
		if err := n.Publish(told); err != nil {
			return err
		}
	}
	if ok && e.Kind == ledger.Pushed {
		n.openPushOf(e)
		if err := n.askLedger(e.Entry.Reference); err != nil {
			return err
		}
	} else {
		n.Heard([]ledger.Entry{e.Entry})
		n.done = append(n.done, e.Number)
	}
	n.read = e.Number
	return nil
}

// openPushOf opens the push of an event.
func (n *Notifier) openPushOf(e ledger.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.open) >= maxOpen {
		n.Log.Warn("too many pushes are not everywhere yet: nobody will be told when this one is",
			"repository", e.Entry.Repository, "reference", e.Entry.Name)
		n.done = append(n.done, e.Number)
		return
	}
	n.open[e.Entry.Reference] = &openPush{Event: e}
}

// askLedger asks the ledger how far pushes have come.
func (n *Notifier) askLedger(references ...ledger.Reference) error {
	for _, what := range references {
		now, known, err := n.Ledger.Get(what)
		if err != nil {
			return err
		}
		if known {
			n.Heard([]ledger.Entry{now})
		}
	}
	return nil
}

// Heard takes note of what is known of pushes by now, from here or from another gateway. That one was everywhere stays
// true, whatever comes after it.
func (n *Notifier) Heard(entries []ledger.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, now := range entries {
		if o := n.open[now.Reference]; o != nil && o.progress != everywhere {
			o.progress = progressOf(o.Entry.Stamp, now, n.Takers(now.Repository))
		}
	}
}

// closeFinished closes the pushes that are everywhere, and those that will never be.
func (n *Notifier) closeFinished() error {
	n.mu.Lock()
	var ended []openPush
	for _, o := range n.open {
		if o.progress != underWay {
			ended = append(ended, *o)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(ended, func(a, b openPush) int { return cmp.Compare(a.Number, b.Number) })
	for _, o := range ended {
		if err := n.closePush(o.Entry.Reference); err != nil {
			return err
		}
	}
	return nil
}

// closePush closes a push, if it is open, and tells of it if it is everywhere.
func (n *Notifier) closePush(what ledger.Reference) error {
	n.mu.Lock()
	o := n.open[what]
	complete := o != nil && o.progress == everywhere
	n.mu.Unlock()
	if o == nil {
		return nil
	}
	if complete {
		if err := n.Publish(everywhereOf(o.Event, n.Own, time.Now())); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.done = append(n.done, o.Number)
	delete(n.open, what)
	return nil
}
