// Package settings is what people change by command while gateways run, and what comes of it together with their file.
// All gateways of a fleet have the same settings; their ledgers exchange them.
package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/configs"
	"github.com/fairlead-gateway/fairlead/hlc"
)

// Value is one key of the store as it is now. Of two writes of a key the later one holds.
type Value struct {
	Key   string
	Text  string // JSON
	Stamp hlc.Stamp
}

// The keys of the store.
const (
	home     = "home"     // a replica's name
	replicas = "replica/" // a Replica, by its name
	changes  = "change/"  // a Change, by when it was made
)

// Replica is what was changed of one.
type Replica struct {
	Made    bool              `json:"made,omitempty"`    // by a command
	Deleted bool              `json:"deleted,omitempty"` // though a file declares it
	Keys    map[string]any    `json:"keys,omitempty"`    // as in a file
	Tags    map[string]string `json:"tags,omitempty"`

	stamp hlc.Stamp
}

func (r Replica) isNothing() bool {
	return !r.Made && !r.Deleted && len(r.Keys) == 0 && len(r.Tags) == 0
}

// Change is who changed what, through which gateway.
type Change struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Through string    `json:"through"` // the gateway's name
	Key     string    `json:"key"`     // such as replicas[westus].state
	Old     string    `json:"old"`
	New     string    `json:"new"`
}

// Store is all settings at one moment. It is not changed.
type Store struct {
	Home     string // "": as the file says
	Replicas map[string]Replica
	Changes  []Change // the earliest first

	old []string // keys of changes beyond maxChanges
}

// maxChanges bounds how many changes are remembered.
const maxChanges = 1000

// Read makes a store of what is in it. What cannot be read, since a later version has written it, is left out.
func Read(all []Value) Store {
	s := Store{Replicas: map[string]Replica{}}
	var made []string
	for _, v := range all {
		switch name, isReplica := strings.CutPrefix(v.Key, replicas); {
		case v.Key == home:
			_ = json.Unmarshal([]byte(v.Text), &s.Home)
		case isReplica:
			r := Replica{stamp: v.Stamp}
			if json.Unmarshal([]byte(v.Text), &r) == nil {
				s.Replicas[name] = r
			}
		case strings.HasPrefix(v.Key, changes):
			var c Change
			if json.Unmarshal([]byte(v.Text), &c) == nil {
				made, s.Changes = append(made, v.Key), append(s.Changes, c)
			}
		}
	}
	if beyond := len(made) - maxChanges; beyond > 0 {
		s.old, s.Changes = made[:beyond], s.Changes[beyond:]
	}
	return s
}

// Old are the keys of changes that nobody need remember any more, the same on all gateways.
func (s Store) Old() []string { return s.old }

// Layer is what lies over a file.
func (s Store) Layer() configs.Layer {
	l := configs.Layer{Home: s.Home}
	byStamp := func(a, b string) int {
		if order := s.Replicas[a].stamp.Compare(s.Replicas[b].stamp); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	}
	for _, name := range slices.SortedFunc(maps.Keys(s.Replicas), byStamp) {
		r := s.Replicas[name]
		l.Replicas = append(l.Replicas, configs.LayerReplica{Name: name, Made: r.Made, Deleted: r.Deleted, Keys: r.Keys})
	}
	return l
}

// Write is what is to be written for a change; an empty Text takes the key away.
type Write struct{ Key, Text string }

// With is the store in which a replica has been changed, as it would be at a time, and what to write for that.
func (s Store) With(name string, r Replica, at hlc.Stamp) (Store, Write) {
	out := s
	out.Replicas = maps.Clone(s.Replicas)
	r.stamp = at
	if r.isNothing() {
		delete(out.Replicas, name)
		return out, Write{Key: replicas + name}
	}
	out.Replicas[name] = r
	return out, Write{replicas + name, text(r)}
}

// WithHome is the store in which another replica is home; "": as the file says.
func (s Store) WithHome(name string) (Store, Write) {
	s.Home = name
	if name == "" {
		return s, Write{Key: home}
	}
	return s, Write{home, text(name)}
}

// Log is what to write so that a change is remembered. n tells those of one moment apart.
func (c Change) Log(n int) Write {
	return Write{fmt.Sprintf("%s%013d-%03d-%s", changes, c.At.UnixMilli(), n, c.Through), text(c)}
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // only for types that JSON does not have
	}
	return string(data)
}
