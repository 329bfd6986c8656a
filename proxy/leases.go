package proxy

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fairlead-gateway/fairlead/router"
)

const bindingLife = time.Minute

// leases remembers who owns which repository's writes, and which replica a client was just told
// about a repository by. Decisions about them are router's.
type leases struct {
	agreed Agreement // Static after newLeases.
	idle   changingDuration
	drains atomic.Pointer[router.Drains]

	// Guarded by mu.
	mu       sync.Mutex
	byName   *simplelru.LRU[string, *router.Lease]
	quotas   *quotas
	bindings *simplelru.LRU[pushKey, binding]
}

type pushKey struct {
	client     netip.Addr
	repository string
}

type binding struct {
	replica string
	until   time.Time
}

// newLeases has room for so many leases and so many bindings. The oldest untouched goes first.
func newLeases(idle time.Duration, agreed Agreement, most int) *leases {
	if agreed == nil {
		agreed = alone{}
	}
	quotas := newQuotas(max(most/perClient, 1))
	byName, err := simplelru.NewLRU(most, func(repository string, _ *router.Lease) { quotas.release(repository) })
	if err != nil {
		panic(err) // only for a size below one
	}
	l := &leases{agreed: agreed, byName: byName, quotas: quotas, bindings: newLRU[pushKey, binding](most)}
	l.idle.set(idle)
	l.drains.Store(&router.Drains{})
	return l
}

// owner is the replica that holds the repository's live lease, "" if none does. What gateways agree on
// comes first: where two of them had granted, one has lost.
func (l *leases) owner(repository string, now time.Time) string {
	if agreed, ended := l.agreedOwner(repository, now); agreed != "" && !ended {
		return agreed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.live(repository, now); lease != nil {
		return lease.Owner
	}
	return ""
}

// agreedOwner is who gateways agree on, and whether that drains and the push has had its time there. What others have
// heard of a push may be a quarter of idle old.
func (l *leases) agreedOwner(repository string, now time.Time) (owner string, ended bool) {
	owner = l.agreed.Owner(repository)
	drains := *l.drains.Load()
	if _, drained := drains[owner]; !drained || l.held(repository, now) == owner {
		return owner, false
	}
	idle := l.idle.get()
	of := router.Lease{Owner: owner, Last: l.agreed.Last(repository).Add(idle / 4)}
	return owner, !of.Live(now, idle, drains)
}

// live needs mu. A lease that has ended is forgotten as soon as somebody asks.
func (l *leases) live(repository string, now time.Time) *router.Lease {
	lease, ok := l.byName.Get(repository)
	if !ok {
		return nil
	}
	if !lease.Live(now, l.idle.get(), *l.drains.Load()) {
		l.byName.Remove(repository)
		return nil
	}
	return lease
}

// accept notes that replica accepted a write of client, and returns the owner of the repository from
// then on: replica itself, unless another's lease is live here or gateways agree on another.
func (l *leases) accept(ctx context.Context, repository, replica string, client netip.Addr, now time.Time) string {
	if held := l.held(repository, now); held != "" {
		replica = held
	}
	owner, ended := l.agreedOwner(repository, now)
	if _, drained := (*l.drains.Load())[replica]; drained && (owner == "" || ended) && l.held(repository, now) == "" {
		return replica // nothing new starts there
	}
	if ended {
		l.agreed.RevokeDrained(repository, owner)
		owner = ""
	}
	if owner != "" || l.grantable(client, now) {
		owner = l.agreed.Accept(ctx, repository, replica)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.live(repository, now)
	if lease == nil || owner != "" && lease.Owner != owner {
		if own := l.quotas.oldest(client); own != "" {
			l.byName.Remove(own)
		}
		lease = &router.Lease{}
		l.byName.Add(repository, lease)
		l.quotas.charge(client, repository)
	}
	*lease = lease.Accept(cmp.Or(owner, replica), now, l.idle.get(), *l.drains.Load())
	l.bindings.Add(pushKey{client, repository}, binding{lease.Owner, now.Add(bindingLife)})
	return lease.Owner
}

// grantable reports whether gateways may agree on one lease more for a client: who has as many as one may have gets no
// more that others would have to remember. Here the oldest of its own goes for each new one.
func (l *leases) grantable(client netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.quotas.oldest(client)
	return own == "" || l.live(own, now) == nil
}

// held is the owner by this gateway's own table.
func (l *leases) held(repository string, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.live(repository, now); lease != nil {
		return lease.Owner
	}
	return ""
}

// open keeps the lease that owner holds, if it does, from ending while a request is under way. The
// caller calls done once, when that request has ended. Here that does not prolong the lease: only what
// the replica accepts does, or a stranger could hold a repository where it is.
func (l *leases) open(repository, owner string, now time.Time) (done func(), held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.live(repository, now)
	if lease == nil || lease.Owner != owner {
		return func() {}, false
	}
	lease.Open++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		lease.Open--
	}, true
}

// revoke takes the lease from an owner that is lost or read-only, when another replica has accepted a write in its
// place.
func (l *leases) revoke(repository, owner string, known *router.Replica) {
	if known != nil && known.ReadOnly {
		l.agreed.RevokeReadOnly(repository, owner)
	} else {
		l.agreed.RevokeLost(repository, owner)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease, ok := l.byName.Peek(repository); ok && lease.Owner == owner {
		l.byName.Remove(repository)
	}
}

// forget ends the leases and bindings of replicas.
func (l *leases) forget(lost map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.byName.Keys() {
		if lease, ok := l.byName.Peek(name); ok && lost[lease.Owner] {
			l.byName.Remove(name)
		}
	}
	for _, k := range l.bindings.Keys() {
		if b, ok := l.bindings.Peek(k); ok && lost[b.replica] {
			l.bindings.Remove(k)
		}
	}
}

// bind ties one client and one repository to the replica that answered it, for a minute.
func (l *leases) bind(repository, replica string, client netip.Addr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bindings.Add(pushKey{client, repository}, binding{replica, now.Add(bindingLife)})
}

// boundTo is the replica that client is bound to for the repository, "" if to none.
func (l *leases) boundTo(repository string, client netip.Addr, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.bindings.Get(pushKey{client, repository})
	if !ok || now.After(b.until) {
		return ""
	}
	return b.replica
}

// LeaseInfo is one live lease as this gateway alone remembers it, for people.
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
		if lease, ok := l.byName.Peek(name); ok && lease.Live(now, l.idle.get(), *l.drains.Load()) {
			out = append(out, LeaseInfo{name, lease.Owner, lease.Granted, lease.Last, lease.Open})
		}
	}
	return out
}

// info is this gateway's own lease of a repository; the zero LeaseInfo if none is live.
func (l *leases) info(repository string, now time.Time) LeaseInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease, ok := l.byName.Peek(repository); ok && lease.Live(now, l.idle.get(), *l.drains.Load()) {
		return LeaseInfo{repository, lease.Owner, lease.Granted, lease.Last, lease.Open}
	}
	return LeaseInfo{}
}

// countOf is how many a replica owns, by this gateway's own table.
func (l *leases) countOf(replica string, now time.Time) (n int) {
	for _, lease := range l.list(now) {
		if lease.Owner == replica {
			n++
		}
	}
	return n
}

// countHeld is what gateways agree on, for one that knows others: its own table has but the writes that it passed on.
func (l *leases) countHeld() int {
	if _, single := l.agreed.(alone); single {
		return l.count()
	}
	return l.agreed.Held()
}

func (l *leases) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byName.Len()
}
