package router

import (
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
}

// ForDNS chooses the replica whose addresses a client gets: the first whose front and upstream are
// up and not slow; else the first where they are up; else the first whose front is up, because its
// gateway forwards elsewhere. When no front looks up it
// is likelier that the probes of fronts are at fault (a certificate, no way from a gateway to its own
// public address), and what is known of upstreams decides: an answer is never empty, and not needlessly
// dead (docs/adr/005). Draining replicas start nothing new while another can be named.
func ForDNS(order Order) Answer {
	passes := []func(r *Replica) bool{
		func(r *Replica) bool { return r.Operator == Online && r.FrontUp() && r.Upstream.Up && !r.slow() },
		func(r *Replica) bool { return r.Operator == Online && r.FrontUp() && r.Upstream.Up },
		func(r *Replica) bool { return r.Operator == Online && r.FrontUp() },
		func(r *Replica) bool { return r.Operator == Drain && r.FrontUp() },
	}
	for pass, fits := range passes {
		if i := slices.IndexFunc(order, fits); i >= 0 {
			consulted := order
			if pass == 0 {
				consulted = order[:i+1]
			}
			return Answer{order[i], order.reasonFor(order[i]), consulted.changeIn()}
		}
	}
	online := func(r *Replica) bool { return r.Readable() && r.Operator == Online }
	last := order.firstOf(online, (*Replica).Readable, (*Replica).inService)[0]
	return Answer{last, LastResort, order.changeIn()}
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
