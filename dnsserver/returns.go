package dnsserver

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// returns keeps since when replicas are back that this server has sent clients past. It sees each fleet that it answers
// with: whom nobody has asked about meanwhile, nobody was sent past.
type returns struct {
	last atomic.Pointer[returned]

	mu sync.Mutex // Held while last is replaced.
}

// returned is a fleet as it was given, and with what is known of those that are back.
type returned struct {
	given, fleet *router.Fleet
}

// present is the fleet that answers are made from.
func (r *returns) present(fleet func() *router.Fleet) *router.Fleet {
	if last := r.last.Load(); last != nil && last.given == fleet() {
		return last.fleet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last, given := r.last.Load(), fleet()
	var before *router.Fleet
	if last != nil {
		if last.given == given {
			return last.fleet
		}
		before = last.fleet
	}
	now := &returned{given, given.Returned(before, time.Now())}
	r.last.Store(now)
	return now.fleet
}
