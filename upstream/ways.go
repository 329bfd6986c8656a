package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"

	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// Settings are what the ways to replicas go by, and may change while they are used. MaxManifest and Relay may be zero.
type Settings struct {
	Endpoints   []Endpoint
	MaxManifest int64 // bytes of one from a replica; 0 is transfer.DefaultMaxManifest
	Relay       Relay
}

// ErrGone is what asking a replica comes to that the fleet has no more, or that has become another registry.
var ErrGone = errors.New("the fleet has no such registry any more")

// ways are those to all replicas at one moment.
type ways struct {
	// Static.
	to          map[string]*way // by name
	former      map[string]*way // what the names led to before, where that was another registry, or has no way now
	relay       Relay
	relaying    *h1.Client
	maxManifest int64
}

// way is how this gateway itself reaches one replica.
type way struct {
	Endpoint
	client *h1.Client
	signs  *signs
	piece  *transfer.Piece
}

// find is the way to a replica's registry of that incarnation, "" being any. What was decided when the fleet was
// another one, a moment ago, still finds its own.
func (s *ways) find(replica, incarnation string) (*way, error) {
	for _, known := range []*way{s.to[replica], s.former[replica]} {
		if known != nil && (incarnation == "" || known.Incarnation == incarnation) {
			return known, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", replica, ErrGone)
}

// leadsAs reports whether connections to both are made alike.
func (e Endpoint) leadsAs(other Endpoint) bool {
	return e.URL.String() == other.URL.String() && e.TLSKey == other.TLSKey && (e.TLSKey != "" || e.TLS == other.TLS)
}

// sameRegistry reports whether two endpoints are of one registry, however it is reached.
func (e Endpoint) sameRegistry(other Endpoint) bool {
	return e.Incarnation == other.Incarnation && e.URL.String() == other.URL.String()
}

func (r Relay) leadsAs(other Relay) bool {
	return r.Scheme == other.Scheme && r.TLSKey == other.TLSKey && (r.TLSKey != "" || r.TLS == other.TLS)
}

// Update has requests go by other endpoints from now on. What did not change keeps its connections, and what is known of
// it. A request that is under way ends where it began; connections that nobody uses close. How many connections there may
// be is as it was at the start.
func (t *Transports) Update(s Settings) {
	t.updating.Lock()
	defer t.updating.Unlock()
	before := t.now.Load()
	after := t.made(before, s)
	t.now.Store(after)
	kept := map[*h1.Client]bool{after.relaying: true}
	for _, w := range after.to {
		kept[w.client] = true
	}
	for _, w := range before.to {
		if !kept[w.client] {
			w.client.CloseIdleConnections()
		}
	}
	if !kept[before.relaying] {
		before.relaying.CloseIdleConnections()
	}
}

// made are the ways after others, of which it takes over what did not change.
func (t *Transports) made(before *ways, s Settings) *ways {
	after := &ways{
		to: map[string]*way{}, former: map[string]*way{}, relay: s.Relay, relaying: before.relaying,
		maxManifest: cmp.Or(s.MaxManifest, transfer.DefaultMaxManifest),
	}
	if after.relaying == nil || !s.Relay.leadsAs(before.relay) {
		after.relaying = t.config.client(s.Relay.TLS, t.config.dialer())
	}
	maps.Copy(after.former, before.to)
	for _, e := range s.Endpoints {
		old := before.to[e.Name]
		w := &way{Endpoint: e}
		if old != nil && e.sameRegistry(old.Endpoint) {
			delete(after.former, e.Name)
			w.signs, w.piece = old.signs, old.piece
			if e.leadsAs(old.Endpoint) {
				w.TLS, w.client = old.TLS, old.client
			}
		}
		if w.signs == nil {
			w.signs, w.piece = newSigns(t.config.dialer(), e, t.config.Patience, t.config.Alive), &transfer.Piece{}
		}
		if w.client == nil {
			w.client = t.config.client(e.TLS, w.signs.dial)
		}
		after.to[e.Name] = w
	}
	return after
}

// nowhere is where a replica is that the fleet has not.
func nowhere(replica string) Endpoint {
	return Endpoint{Name: replica, URL: &url.URL{Scheme: "https", Host: replica + ".invalid"}}
}
