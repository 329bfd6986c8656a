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
// up; else the first whose front is up, because its gateway forwards elsewhere; else the first that
// the operator did not take offline, else the first: an answer is never empty. Draining replicas start
// nothing new while another's front is up.
func ForDNS(order Order) Answer {
	passes := []func(r Ranked) bool{
		func(r Ranked) bool { return r.Operator == Online && r.FrontUp() && r.Upstream.Up },
		func(r Ranked) bool { return r.Operator == Online && r.FrontUp() },
		func(r Ranked) bool { return r.Operator == Drain && r.FrontUp() },
	}
	for pass, fits := range passes {
		if i := slices.IndexFunc(order, fits); i >= 0 {
			consulted := order
			if pass == 0 {
				consulted = order[:i+1]
			}
			return Answer{order[i].Replica, order.reasonFor(order[i].Replica), consulted.changeIn()}
		}
	}
	last := max(0, slices.IndexFunc(order, func(r Ranked) bool { return r.Operator != Offline }))
	return Answer{order[last].Replica, LastResort, order.changeIn()}
}

func (o Order) changeIn() time.Duration {
	var least time.Duration
	for _, r := range o {
		least = sooner(least, r.changeIn())
	}
	return least
}
