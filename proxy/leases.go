package proxy

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fairlead-gateway/fairlead/router"
)

// Bounds of the tables, in entries. A lease takes some 300 bytes, a binding some 400: together under
// 50 MB when both are full. The oldest untouched goes first.
const (
	maxLeases   = 65_536
	maxBindings = 65_536
	bindingLife = time.Minute
)

// leases remembers who owns which repository's writes, and which replica a client was just told
// about a repository by. Decisions about them are router's.
type leases struct {
	idle time.Duration // Static after newLeases.

	// Guarded by mu.
	mu       sync.Mutex
	byName   *simplelru.LRU[string, *router.Lease]
	bindings *simplelru.LRU[bindingKey, binding]
}

type bindingKey struct {
	client     netip.Addr
	repository string
}

type binding struct {
	replica string
	until   time.Time
}

func newLeases(idle time.Duration) *leases {
	byName, err := simplelru.NewLRU[string, *router.Lease](maxLeases, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	bindings, err := simplelru.NewLRU[bindingKey, binding](maxBindings, nil)
	if err != nil {
		panic(err)
	}
	return &leases{idle: idle, byName: byName, bindings: bindings}
}

// owner is the replica that holds the repository's live lease, "" if none does.
func (l *leases) owner(repository string, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.live(repository, now); lease != nil {
		return lease.Owner
	}
	return ""
}

// live needs mu. A lease that has ended is forgotten as soon as somebody asks.
func (l *leases) live(repository string, now time.Time) *router.Lease {
	lease, ok := l.byName.Get(repository)
	if !ok {
		return nil
	}
	if !lease.Live(now, l.idle) {
		l.byName.Remove(repository)
		return nil
	}
	return lease
}

// accept notes that replica accepted a write of client, and returns the owner of the repository from
// then on: replica itself, unless another's lease is live.
func (l *leases) accept(repository, replica string, client netip.Addr, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.live(repository, now)
	if lease == nil {
		lease = &router.Lease{}
		l.byName.Add(repository, lease)
	}
	*lease = lease.Accept(replica, now, l.idle)
	l.bindings.Add(bindingKey{client, repository}, binding{lease.Owner, now.Add(bindingLife)})
	return lease.Owner
}

// open keeps the lease that owner holds, if it does, from ending while a request is under way. The
// caller calls the returned function once, when that request has ended. That does not prolong the
// lease: only what the replica accepts does, or a stranger could hold a repository where it is.
func (l *leases) open(repository, owner string, now time.Time) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.live(repository, now)
	if lease == nil || lease.Owner != owner {
		return func() {}
	}
	lease.Open++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		lease.Open--
	}
}

// end takes a lost owner's lease away, when another replica has accepted a write in its place.
func (l *leases) end(repository, owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease, ok := l.byName.Peek(repository); ok && lease.Owner == owner {
		l.byName.Remove(repository)
	}
}

// bind ties one client and one repository to the replica that answered it, for a minute.
func (l *leases) bind(repository, replica string, client netip.Addr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bindings.Add(bindingKey{client, repository}, binding{replica, now.Add(bindingLife)})
}

// boundTo is the replica that client is bound to for the repository, "" if to none.
func (l *leases) boundTo(repository string, client netip.Addr, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.bindings.Get(bindingKey{client, repository})
	if !ok || now.After(b.until) {
		return ""
	}
	return b.replica
}

// LeaseInfo is one live lease, for people.
type LeaseInfo struct {
	Repository string
	Owner      string
	Granted    time.Time
	Last       time.Time
	Open       int
}

func (l *leases) list(now time.Time) []LeaseInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []LeaseInfo{}
	for _, name := range l.byName.Keys() {
		if lease, ok := l.byName.Peek(name); ok && lease.Live(now, l.idle) {
			out = append(out, LeaseInfo{name, lease.Owner, lease.Granted, lease.Last, lease.Open})
		}
	}
	return out
}

func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byName.Len()
}
