package proxy

import (
	"net/http"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// readOnlyLife is how long a replica that answered a write with 405 is not asked to take one.
const readOnlyLife = time.Minute

// readOnly remembers which replicas answer writes with 405: pull-through caches, and registries under maintenance.
type readOnly struct {
	mu    sync.Mutex
	until map[string]time.Time // Guarded by mu. At most the fleet.
}

func (r *readOnly) note(replica string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = map[string]time.Time{}
	}
	r.until[replica] = now.Add(readOnlyLife)
}

func (r *readOnly) names(now time.Time) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, until := range r.until {
		if now.Before(until) {
			names = append(names, name)
		}
	}
	return names
}

// present is the fleet as the probes, and answers to writes, have it now.
func (p *Proxy) present(now time.Time) *router.Fleet {
	return p.Fleet().WithReadOnly(p.readOnly.names(now))
}

// refusedAsReadOnly: the replica takes no writes, so that another has to. Other methods may be refused for what they ask.
func (x *exchange) refusedAsReadOnly(got answer) bool {
	return got.err == nil && got.response.StatusCode == http.StatusMethodNotAllowed && x.asksOwner() && x.repeatable() &&
		x.in.Method != http.MethodHead && !got.replica.ReadOnly
}
