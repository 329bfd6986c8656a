package gateway

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/settings"
)

// shared is what people have changed by command, through whichever gateway of the fleet.
type shared struct {
	store     atomic.Pointer[settings.Store]      // never nil
	overruled atomic.Pointer[[]configs.Overruled] // never nil: changes that are not in force
}

// openShared reads what was changed before this start. What cannot be read now is read once it can be.
func (g *Gateway) openShared() {
	g.shared.store.Store(&settings.Store{})
	g.shared.overruled.Store(&[]configs.Overruled{})
	if err := g.readShared(); err != nil {
		g.log.Warn("what was changed by command cannot be read: the file alone is in force until it can be", "error", err)
	}
}

func (g *Gateway) readShared() error {
	all, err := g.ledger.Settings("")
	if err != nil {
		return err
	}
	var values []settings.Value
	for _, s := range all {
		if !s.Deleted {
			values = append(values, settings.Value{Key: s.Key, Text: s.Value, Stamp: s.Stamp})
		}
	}
	store := settings.Read(values)
	g.shared.store.Store(&store)
	return nil
}

// over is a file with what lies over it. What is overruled is said once.
func (g *Gateway) over(file *configs.Config) *configs.Config {
	out, overruled := file.Over(g.shared.store.Load().Layer())
	before := *g.shared.overruled.Swap(&overruled)
	for _, o := range overruled {
		if !slices.Contains(before, o) {
			g.log.Warn("a change by command is not in force", "replica", o.Name, "rule", o.Rule)
		}
	}
	return out
}

// followShared puts in force what is changed through other gateways, until ctx ends.
func (g *Gateway) followShared(ctx context.Context) error {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.ledger.SettingsChanged():
		case <-again:
		}
		again = nil
		g.file.mu.Lock()
		if err := g.takeShared(); err != nil {
			g.log.Error("what was changed by command cannot be put in force; it is tried again", "error", err)
			again = time.After(againEvery)
		}
		g.file.mu.Unlock()
		if old := g.shared.store.Load().Old(); len(old) > 0 {
			if err := g.ledger.ForgetSettings(old...); err != nil {
				g.log.Warn("old changes cannot be forgotten", "error", err)
			}
		}
	}
}

// takeShared puts in force what the store says now. It is called with file.mu.
func (g *Gateway) takeShared() error {
	before := g.live.config()
	if err := g.readShared(); err != nil {
		return err
	}
	effective := g.withLeaving(before, g.over(g.file.good))
	changes := configs.Changes(before, effective)
	if len(changes) == 0 {
		g.live.say(effective)
		return nil
	}
	if err := g.apply(effective); err != nil {
		return err
	}
	for _, c := range changes {
		g.log.Info("a change by command is in force", "field", c.Field, "old", c.Old, "new", c.New)
	}
	return nil
}

// changeShared has a change hold on all gateways: it is checked, written durably, and in force here when this returns.
// edit says what is to be written, of the store as it is, and of which replica.
func (g *Gateway) changeShared(by string, edit func(settings.Store) (settings.Store, []settings.Write, error)) error {
	g.file.mu.Lock()
	defer g.file.mu.Unlock()
	if err := g.readShared(); err != nil {
		return admin.Problem{Status: 503, Detail: "settings cannot be read: " + err.Error()}
	}
	store := *g.shared.store.Load()
	next, writes, err := edit(store)
	if err != nil || len(writes) == 0 {
		return err
	}
	was, _ := g.file.good.Over(store.Layer())
	is, overruled := g.file.good.Over(next.Layer())
	for _, o := range overruled {
		before := slices.ContainsFunc(*g.shared.overruled.Load(), func(b configs.Overruled) bool { return b.Name == o.Name })
		if !before || !reflect.DeepEqual(store.Replicas[o.Name], next.Replicas[o.Name]) {
			return admin.Problem{Status: 400, Detail: o.Name + ": " + o.Rule}
		}
	}
	now := time.Now()
	for i, c := range configs.Changes(was, is) {
		if i == mostTold {
			break
		}
		writes = append(writes, settings.Change{At: now.UTC(), By: by, Through: member(g.file.good), Key: c.Field,
			Old: c.Old, New: c.New}.Log(i))
	}
	var all []ledger.Setting
	for _, w := range writes {
		all = append(all, ledger.Setting{Key: w.Key, Value: w.Text, Deleted: w.Text == ""})
	}
	if err := g.ledger.Set(all...); err != nil {
		return admin.Problem{Status: 503, Detail: "the change cannot be kept, and is not in force: " + err.Error()}
	}
	if err := g.takeShared(); err != nil {
		return admin.Problem{Status: 500, Detail: "the change is kept, and cannot be put in force here now: it is tried again: " +
			err.Error()}
	}
	return nil
}

// sharedCheck is what an operator should know of changes by command. It keeps nobody from being ready.
func (g *Gateway) sharedCheck() admin.Check {
	var notes []string
	for _, o := range *g.shared.overruled.Load() {
		notes = append(notes, o.Name+": "+o.Rule)
	}
	if more := len(notes) - mostTold; more > 0 {
		notes = append(notes[:mostTold], fmt.Sprintf("%d more", more))
	}
	return admin.Check{Name: "what commands have changed is in force", Note: strings.Join(notes, "; ")}
}

// changesMade lists who changed what.
func (g *Gateway) changesMade() admin.Changes {
	out := admin.Changes{Value: []admin.Change{}}
	for _, c := range g.shared.store.Load().Changes {
		out.Value = append(out.Value, admin.Change(c))
	}
	return out
}

// overlaid are the keys of a replica of which the store has another value than its file.
func (g *Gateway) overlaid(name string) (keys []string) {
	for key := range g.shared.store.Load().Replicas[name].Keys {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// warnOverlaid says of an edit of the file which of its values are not in force.
func (g *Gateway) warnOverlaid(changes []configs.Change) {
	for _, c := range changes {
		name, key, ok := strings.Cut(strings.TrimPrefix(c.Field, "replicas["), "].")
		if ok && slices.Contains(g.overlaid(name), key) {
			g.log.Warn(fmt.Sprintf("the file's value is not in force: a command has set another; "+
				"`fairlead config reset %s %s` takes that back", name, key), "field", c.Field, "file", c.New)
		}
	}
}
