package router

import (
	"net/netip"
	"slices"
	"time"
)

// Answer is what DNS hands out for one order.
type Answer struct {
	Replica *Replica
	Reason  Reason
	// ChangeIn is the least time after which any replica consulted, those passed over included, can
	// change: an answer must not outlive its reason. 0: all are steady.
	ChangeIn time.Duration
	// Within are the clients for which it holds, while a replica gets its clients back one after the other; the zero
	// Prefix: all that have the order.
	Within netip.Prefix
}

// ForDNS chooses the replica whose addresses a client gets: the first whose front and upstream are
// up; else the first whose front is up, because its gateway forwards elsewhere. When no front looks up it
// is likelier that the probes of fronts are at fault (a certificate, no way from a gateway to its own
// public address), and what is known of upstreams decides: an answer is never empty, and not needlessly
// dead (docs/adr/005). Draining replicas start nothing new while another can be named. One that was down gets its clients
// back gradually (docs/adr/037); the zero Addr is a client that waits for nothing.
func ForDNS(order Order, client netip.Addr, now time.Time) Answer {
	passes := []func(r *Replica) bool{
		func(r *Replica) bool { return r.Operator == Online && r.FrontUp() && r.Upstream.Up },
		func(r *Replica) bool { return r.Operator == Online && r.FrontUp() },
		func(r *Replica) bool { return r.Operator == Drain && r.FrontUp() },
	}
	for pass, fits := range passes {
		if i := slices.IndexFunc(order, fits); i >= 0 {
			if pass > 0 {
				return Answer{Replica: order[i], Reason: order.reasonFor(order[i]), ChangeIn: order.changeIn()}
			}
			return order.firstFor(i, fits, returnPrefix(client), now)
		}
	}
	online := func(r *Replica) bool { return r.Readable() && r.Operator == Online }
	last := order.firstOf(online, (*Replica).Readable, (*Replica).inService)[0]
	return Answer{Replica: last, Reason: LastResort, ChangeIn: order.changeIn()}
}

// firstFor is the answer where the i-th is the first that fits.
func (o Order) firstFor(i int, fits func(*Replica) bool, client netip.Prefix, now time.Time) Answer {
	i, turn, byPrefix := o.pastReturning(i, fits, client, now)
	a := Answer{Replica: o[i], Reason: o.reasonFor(o[i]), ChangeIn: sooner(turn, o[:i+1].changeIn())}
	if byPrefix {
		a.Within = client
	}
	return a
}

// changeIn leaves out what the operator took offline: no probe of it changes an answer.
func (o Order) changeIn() time.Duration {
	var least time.Duration
	for _, r := range o {
		if r.inService() {
			least = sooner(least, r.changeIn())
		}
	}
	return least
}
