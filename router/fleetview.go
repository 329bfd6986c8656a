package router

import (
	"net/netip"
	"slices"
	"time"
)

// ReplicaView is what one gateway sees of one replica. Fronts are by address.
type ReplicaView struct {
	Upstream bool
	Fronts   map[string]bool
	Leaving  []string // of its own fronts, those that are about to close
}

// GatewayView is what a live gateway, this one included, has told of each replica, and the replica beside it, "" for
// none.
type GatewayView struct {
	Here string
	Sees map[string]ReplicaView
}

// FleetView is what a gateway makes of its own probes and of what the others tell. It is never changed.
type FleetView struct {
	Own       *Fleet // by our own probes
	Agreed    *Fleet // as most see it: for DNS, since one gateway that cannot reach a replica moves nobody
	Reachable *Fleet // what requests can reach from here, if need be through a front; with what is Unshared

	here        string
	upElsewhere map[string]bool      // replicas that others see up
	lastGood    map[string]time.Time // the last good probe of those that are down by our own probes
	seenDown    map[string]int       // how many gateways see a replica's upstream down
}

// oneProbeCounts is how long one good probe counts for a replica that others see up: one probe that is lost then must
// not turn requests away.
const oneProbeCounts = 5 * time.Second

// NewFleetView takes the view before for what was probed then; that may be the zero value.
func NewFleetView(own *Fleet, all []GatewayView, here string, before *FleetView, now time.Time) *FleetView {
	v := &FleetView{
		Own: own, Agreed: agreed(own, all), here: here,
		upElsewhere: map[string]bool{}, lastGood: map[string]time.Time{}, seenDown: map[string]int{},
	}
	v.count(all)
	for _, r := range own.Replicas() {
		last, known := before.lastGood[r.Name]
		switch {
		case r.Upstream.Up:
		case r.Upstream.answers():
			v.lastGood[r.Name] = now
		case known:
			v.lastGood[r.Name] = last
		}
	}
	v.Reachable = own.With(func(replica string, front netip.Addr) bool {
		if front.IsValid() || replica == here {
			return own.up(replica, front)
		}
		return v.answersHere(replica, now) || v.RelayFront(replica).IsValid()
	}).withUnshared(all)
	return v
}

// withUnshared marks the replicas that a live gateway lacks, of those that have told of any: its file is an older one,
// or a newer. What is there is read, and what was begun there goes on.
func (f *Fleet) withUnshared(all []GatewayView) *Fleet {
	replicas := slices.Clone(f.replicas)
	for i := range replicas {
		replicas[i].Unshared = slices.ContainsFunc(all, func(g GatewayView) bool {
			_, knows := g.Sees[replicas[i].Name]
			return !knows && len(g.Sees) > 0
		})
	}
	return NewFleet(replicas)
}

// answers reports whether what is down has answered its last probe.
func (h Health) answers() bool { return !h.Up && h.ChangeIn > 0 }

// count finds what others see up, and how many see what down. Whoever is beside a replica knows best: after a cut most
// others may still think of the way there as lost.
func (v *FleetView) count(all []GatewayView) {
	for _, r := range v.Agreed.Replicas() {
		v.upElsewhere[r.Name] = r.Upstream.Up
	}
	for _, g := range all {
		if g.Sees[g.Here].Upstream {
			v.upElsewhere[g.Here] = true
		}
		for replica, seen := range g.Sees {
			if !seen.Upstream {
				v.seenDown[replica]++
			}
		}
	}
}

// answersHere reports whether this gateway itself reaches a replica. What is down by our own probes takes ten good ones
// to be up. Where others see it up, only the way to it was cut, and one is enough.
func (v *FleetView) answersHere(replica string, now time.Time) bool {
	last, known := v.lastGood[replica]
	return v.Own.Replica(replica).Upstream.Up || v.upElsewhere[replica] && known && now.Sub(last) < oneProbeCounts
}

// UnreachableHere reports whether only this gateway cannot reach a replica's upstream. Others may tell of one that our
// file has no more, and a request to it may still be under way.
func (v *FleetView) UnreachableHere(replica string) bool {
	own := v.Own.Replica(replica)
	return own != nil && !own.Upstream.Up && v.upElsewhere[replica]
}

// RelayFront is the front of a replica to go through instead of its upstream; the zero Addr where none is needed, or
// none is to be had: a front that only others reach is no way for us, and our own region's front is ourselves.
func (v *FleetView) RelayFront(replica string) netip.Addr {
	own := v.Own.Replica(replica)
	if replica == v.here || !v.UnreachableHere(replica) || own.Upstream.answers() {
		return netip.Addr{}
	}
	for _, f := range own.Fronts {
		if f.Health.Up {
			return f.Addr
		}
	}
	return netip.Addr{}
}

// MayEnd reports whether a lost owner's lease may be ended for all: if most gateways see it down. Whether peers, the
// number that the file names, counts this gateway or not, half of them or fewer is no majority; nor is it of the live
// members, who may be more than our file knows.
func (v *FleetView) MayEnd(owner string, members, peers int) bool {
	return 2*v.seenDown[owner] > max(members, peers)
}

// agreed is own with the majority's word, where anybody knows. Gateways with another file may know nothing of a
// replica. That a front is about to close, the gateway behind it knows before all others.
func agreed(own *Fleet, all []GatewayView) *Fleet {
	return own.With(func(replica string, front netip.Addr) bool {
		var votes []bool
		for _, g := range all {
			seen, knows := g.Sees[replica]
			if front.IsValid() && g.Here == replica && slices.Contains(seen.Leaving, front.String()) {
				return false
			}
			up := seen.Upstream
			if front.IsValid() && knows {
				up, knows = seen.Fronts[front.String()]
			}
			if knows {
				votes = append(votes, up)
			}
		}
		if len(votes) == 0 {
			return own.up(replica, front)
		}
		return majority(votes)
	})
}

// majority is what most of those that know say; when they are as many, it is up: a replica that half of the gateways
// reach is better tried than not.
func majority(votes []bool) bool {
	up := 0
	for _, v := range votes {
		if v {
			up++
		}
	}
	return 2*up >= len(votes)
}

// up is what the fleet has of a front, or of the upstream where that is the zero Addr.
func (f *Fleet) up(replica string, front netip.Addr) bool {
	r := f.Replica(replica)
	if !front.IsValid() {
		return r.Upstream.Up
	}
	for _, x := range r.Fronts {
		if x.Addr == front {
			return x.Health.Up
		}
	}
	return false
}
