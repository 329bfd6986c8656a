// Package router decides, and does nothing else: who is nearest and healthy, which replica a DNS
// answer names, which replica a registry request goes to, who owns a push. Values in, a decision
// with its reason out: no network, no clock, no lock.
package router

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Operator is the operator's word about a replica; it beats the probes.
type Operator string

const (
	Online  Operator = "online"
	Drain   Operator = "drain"   // finish what is leased, start nothing
	Offline Operator = "offline" // nothing goes there while another replica is left
	// Leaving: the file has it no more. What was begun there may end, and what only it has is copied from it.
	Leaving Operator = "leaving"
)

// Health is what probes say of one front or upstream at one moment.
type Health struct {
	Up bool
	// Slow: it is up, and answers in many times its usual time. It is passed over while another is not.
	Slow bool
	// ChangeIn is the least time after which Up or Slow can differ. 0: steady, no probe of the recent past
	// disagrees with them, so nothing is about to change.
	ChangeIn time.Duration
}

// Front is one address that DNS hands out for a replica.
type Front struct {
	Addr   netip.Addr
	Health Health
}

// Replica is one regional registry as decisions see it.
type Replica struct {
	Name string
	// Incarnation: another registry under the same name has another one.
	Incarnation string
	Point       geo.Point
	Country     string
	Bias        float64 // ms, added to its expected round-trip time
	Home        bool
	Operator    Operator
	Writable    bool // the file's `write`
	// ReadOnly: it has lately refused a write with 405, or failed at one, whatever the file says.
	ReadOnly bool
	// Unshared: not all gateways know it. A lease there would be one that some cannot follow.
	Unshared bool
	// Storage: replicas that bear the same one have the same content. "" is the replica's own.
	Storage string
	Fronts  []Front
	// FrontsUnseen: they count as up because this gateway is one of them; it reaches none of them itself.
	FrontsUnseen bool
	Upstream     Health
	// Back is since when it gets its clients back after they were sent elsewhere; in a while, if that happens again and
	// again. Zero: they were not, or long ago. While it is passed over: since when it got them back last.
	Back time.Time
}

// FrontUp reports whether at least one of the replica's addresses is up: clients take the next
// address by themselves.
func (r *Replica) FrontUp() bool {
	return slices.ContainsFunc(r.Fronts, func(f Front) bool { return f.Health.Up })
}

// slow reports whether clients that come by its fronts wait many times as long as they usually do: all of
// those that are up are slow, or its upstream is.
func (r *Replica) slow() bool {
	return r.Upstream.Slow || r.FrontUp() && !slices.ContainsFunc(r.Fronts, func(f Front) bool {
		return f.Health.Up && !f.Health.Slow
	})
}

// slowLast is a sort order: those come last whose upstream is slow.
func slowLast(a, b *Replica) int {
	switch {
	case a.Upstream.Slow == b.Upstream.Slow:
		return 0
	case a.Upstream.Slow:
		return 1
	}
	return -1
}

// inService reports whether the operator did not take it offline.
func (r *Replica) inService() bool { return r.Operator != Offline }

// Readable reports whether what is there can be read, and what was begun there can be finished. Nil is not.
func (r *Replica) Readable() bool { return r != nil && r.Upstream.Up && r.inService() }

// startable reports whether a push may begin there. Nil is not.
func (r *Replica) startable() bool { return r.Readable() && r.Operator == Online && r.takesWrites() }

func (r *Replica) takesWrites() bool { return r.Writable && !r.ReadOnly && !r.Unshared }

// Shares reports whether two replicas have the same content because it is the same.
func (r *Replica) Shares(other *Replica) bool {
	return r == other || r != nil && other != nil && r.Storage != "" && r.Storage == other.Storage
}

// drainingLast is a sort order of replicas that are in service: those that leave come after those that drain.
func drainingLast(a, b *Replica) int {
	rank := func(r *Replica) int { return slices.Index([]Operator{Drain, Leaving}, r.Operator) }
	return cmp.Compare(rank(a), rank(b))
}

// changeIn is the least time after which anything probed of this replica can change; 0: steady.
func (r *Replica) changeIn() time.Duration {
	least := r.Upstream.ChangeIn
	for _, f := range r.Fronts {
		least = sooner(least, f.Health.ChangeIn)
	}
	return least
}

// sooner is the lesser of two times to change, where 0 means never.
func sooner(a, b time.Duration) time.Duration {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

// Fleet is all replicas with their present state: one immutable value, replaced as a whole and read
// once per request.
type Fleet struct {
	replicas []Replica // sorted by name
	home     *Replica
}

// NewFleet makes a fleet of at least one replica, each of another name. Which one is home is the
// file's business (exactly one is, or the only one): of several, or without any, the first by name
// is.
func NewFleet(replicas []Replica) *Fleet {
	sorted := slices.Clone(replicas)
	slices.SortFunc(sorted, func(a, b Replica) int { return cmp.Compare(a.Name, b.Name) })
	home := max(0, slices.IndexFunc(sorted, func(r Replica) bool { return r.Home }))
	for i := range sorted {
		sorted[i].Home = i == home
	}
	return &Fleet{replicas: sorted, home: &sorted[home]}
}

// Replicas returns all replicas in the order of their names. They are shared: read only.
func (f *Fleet) Replicas() []Replica { return f.replicas }

// Home is the replica that was there first.
func (f *Fleet) Home() *Replica { return f.home }

// Replica finds a replica by name; nil if the fleet has none of that name.
func (f *Fleet) Replica(name string) *Replica {
	for i := range f.replicas {
		if f.replicas[i].Name == name {
			return &f.replicas[i]
		}
	}
	return nil
}

// With is the fleet with other words on what is up; front is the zero Addr for the upstream. What is slow or
// about to change stays what it was: that is this gateway's own knowledge.
func (f *Fleet) With(up func(replica string, front netip.Addr) bool) *Fleet {
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		r := &replicas[i]
		r.Upstream.Up = up(r.Name, netip.Addr{})
		r.Fronts = slices.Clone(r.Fronts)
		for j := range r.Fronts {
			r.Fronts[j].Health.Up = up(r.Name, r.Fronts[j].Addr)
		}
	}
	return NewFleet(replicas)
}

// WithReadOnly is the fleet in which these replicas are known to take no writes.
func (f *Fleet) WithReadOnly(names []string) *Fleet {
	if len(names) == 0 {
		return f
	}
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		replicas[i].ReadOnly = slices.Contains(names, replicas[i].Name)
	}
	return NewFleet(replicas)
}
