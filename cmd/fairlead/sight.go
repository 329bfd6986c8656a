package main

import (
	"net/netip"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/router"
)

// sight is what is known of the fleet at one moment. It is never changed.
type sight struct {
	own    *router.Fleet // by our own probes
	agreed *router.Fleet // as most members see it: for DNS, since one gateway that is blind moves nobody
	reach  *router.Fleet // what requests can reach from here, if need be through a front

	// By replica.
	vouched  map[string]bool      // others see its upstream up
	answered map[string]time.Time // of an upstream that is down by our own probes, the last good one
	lost     map[string]int       // how many members see its upstream down
	here     string
}

// views is what each member sees: by member, by replica.
type views = map[string]map[string]cluster.View

// answersFor is how long one good probe counts for a replica that others vouch for: meanwhile it is probed at least twice
// again, and one lost probe must not turn requests away.
const answersFor = 5 * time.Second

func newSight(own *router.Fleet, seen views, members []cluster.Member, here string, before *sight, now time.Time) *sight {
	s := &sight{
		own: own, agreed: agreed(own, seen), here: here, lost: lost(seen),
		vouched: witnessed(members, seen), answered: map[string]time.Time{},
	}
	for _, r := range own.Replicas() {
		s.vouched[r.Name] = s.vouched[r.Name] || s.agreed.Replica(r.Name).Upstream.Up
		if last, known := before.answered[r.Name]; r.Upstream.Up {
			continue
		} else if r.Upstream.ChangeIn > 0 { // while down: the last probe was good
			s.answered[r.Name] = now
		} else if known {
			s.answered[r.Name] = last
		}
	}
	s.reach = own.With(func(replica string, front netip.Addr) bool {
		if front.IsValid() || replica == here {
			return ownWord(own, replica, front)
		}
		return s.reachable(replica, now) || s.detour(replica).IsValid()
	})
	return s
}

// reachable: what is down by our own probes takes ten good ones to be up. Where others vouch for it, only the way to it
// was cut, and one is enough.
func (s *sight) reachable(replica string, now time.Time) bool {
	last, known := s.answered[replica]
	return s.own.Replica(replica).Upstream.Up || s.vouched[replica] && known && now.Sub(last) < answersFor
}

// detour is the zero Addr where none is needed, or none is to be had: a front that only others reach is no way for us,
// and our own region's front is ourselves.
func (s *sight) detour(replica string) netip.Addr {
	own := s.own.Replica(replica)
	if replica == s.here || own.Upstream.Up || own.Upstream.ChangeIn > 0 || !s.vouched[replica] {
		return netip.Addr{}
	}
	for _, f := range own.Fronts {
		if f.Health.Up {
			return f.Addr
		}
	}
	return netip.Addr{}
}

// witnessed are the replicas that a member beside them sees up. That one knows best: after a cut most others may still
// think of the way as lost.
func witnessed(members []cluster.Member, seen views) map[string]bool {
	by := map[string]bool{}
	for _, m := range members {
		if seen[m.Name][m.Here].Upstream {
			by[m.Here] = true
		}
	}
	return by
}

// lost counts the members that see a replica's upstream down.
func lost(seen views) map[string]int {
	count := map[string]int{}
	for _, of := range seen {
		for replica, v := range of {
			if !v.Upstream {
				count[replica]++
			}
		}
	}
	return count
}

func viewOf(f *router.Fleet) map[string]cluster.View {
	all := map[string]cluster.View{}
	for _, r := range f.Replicas() {
		v := cluster.View{Upstream: r.Upstream.Up, Fronts: map[string]bool{}}
		for _, front := range r.Fronts {
			v.Fronts[front.Addr.String()] = front.Health.Up
		}
		all[r.Name] = v
	}
	return all
}

// agreed is own with the majority's word, where anybody knows. Members with another file may know
// nothing of a replica.
func agreed(own *router.Fleet, seen views) *router.Fleet {
	return own.With(func(replica string, front netip.Addr) bool {
		var opinions []bool
		for _, of := range seen {
			v, knows := of[replica]
			if !knows {
				continue
			}
			up := v.Upstream
			if front.IsValid() {
				up, knows = v.Fronts[front.String()]
			}
			if knows {
				opinions = append(opinions, up)
			}
		}
		if len(opinions) == 0 {
			return ownWord(own, replica, front)
		}
		return cluster.Majority(opinions)
	})
}

func ownWord(own *router.Fleet, replica string, front netip.Addr) bool {
	r := own.Replica(replica)
	if !front.IsValid() {
		return r.Upstream.Up
	}
	return slices.ContainsFunc(r.Fronts, func(f router.Front) bool { return f.Addr == front && f.Health.Up })
}
