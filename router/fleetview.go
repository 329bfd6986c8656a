package router

import (
	"net/netip"
	"slices"
	"time"
)

// Seen is what one gateway sees of one replica. Fronts are by address.
type Seen struct {
	Upstream bool
	Fronts   map[string]bool
	Leaving  []string // of its own fronts, those that are about to close
}

// Witness is a live gateway, this one included: the replica beside it, "" for none, and what it has told of each replica.
type Witness struct {
	Here string
	Sees map[string]Seen
}

// Sight is what a gateway makes of its own probes and of what the others tell. It is never changed.
type Sight struct {
	Own    *Fleet // by our own probes
	Agreed *Fleet // as most see it: for DNS, since one gateway that is blind moves nobody
	Reach  *Fleet // what requests can reach from here, if need be through a front

	here     string
	vouched  map[string]bool      // replicas that others see up
	answered map[string]time.Time // of those that are down by our own probes, the last good one
	lost     map[string]int       // how many witnesses see a replica's upstream down
}

// answersFor is how long one good probe counts for a replica that others vouch for: one probe that is lost then must not
// turn requests away.
const answersFor = 5 * time.Second

// NewSight takes the sight before for what was probed then; that may be the zero value.
func NewSight(own *Fleet, all []Witness, here string, before *Sight, now time.Time) *Sight {
	s := &Sight{Own: own, Agreed: agreed(own, all), here: here, vouched: map[string]bool{}, answered: map[string]time.Time{}, lost: map[string]int{}}
	s.ask(all)
	for _, r := range own.Replicas() {
		last, known := before.answered[r.Name]
		switch {
		case r.Upstream.Up:
		case r.Upstream.answers():
			s.answered[r.Name] = now
		case known:
			s.answered[r.Name] = last
		}
	}
	s.Reach = own.With(func(replica string, front netip.Addr) bool {
		if front.IsValid() || replica == here {
			return own.says(replica, front)
		}
		return s.reachable(replica, now) || s.Detour(replica).IsValid()
	})
	return s
}

// answers: it is down, and its last probe was good.
func (h Health) answers() bool { return !h.Up && h.ChangeIn > 0 }

// ask: whoever is beside a replica knows best. After a cut most others may still think of the way there as lost.
func (s *Sight) ask(all []Witness) {
	for _, r := range s.Agreed.Replicas() {
		s.vouched[r.Name] = r.Upstream.Up
	}
	for _, w := range all {
		if w.Sees[w.Here].Upstream {
			s.vouched[w.Here] = true
		}
		for replica, seen := range w.Sees {
			if !seen.Upstream {
				s.lost[replica]++
			}
		}
	}
}

// reachable: what is down by our own probes takes ten good ones to be up. Where others vouch for it, only the way to it
// was cut, and one is enough.
func (s *Sight) reachable(replica string, now time.Time) bool {
	last, known := s.answered[replica]
	return s.Own.Replica(replica).Upstream.Up || s.vouched[replica] && known && now.Sub(last) < answersFor
}

// Blind reports whether only this gateway cannot reach a replica's upstream.
func (s *Sight) Blind(replica string) bool {
	return !s.Own.Replica(replica).Upstream.Up && s.vouched[replica]
}

// Detour is the front of a replica to go through instead of its upstream; the zero Addr where none is needed, or none is
// to be had: a front that only others reach is no way for us, and our own region's front is ourselves.
func (s *Sight) Detour(replica string) netip.Addr {
	own := s.Own.Replica(replica)
	if replica == s.here || !s.Blind(replica) || own.Upstream.answers() {
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
func (s *Sight) MayEnd(owner string, members, peers int) bool {
	return 2*s.lost[owner] > max(members, peers)
}

// agreed is own with the majority's word, where anybody knows. Gateways with another file may know nothing of a
// replica. That a front is about to close, the gateway behind it knows before all others.
func agreed(own *Fleet, all []Witness) *Fleet {
	return own.With(func(replica string, front netip.Addr) bool {
		var opinions []bool
		for _, w := range all {
			seen, knows := w.Sees[replica]
			if front.IsValid() && w.Here == replica && slices.Contains(seen.Leaving, front.String()) {
				return false
			}
			up := seen.Upstream
			if front.IsValid() && knows {
				up, knows = seen.Fronts[front.String()]
			}
			if knows {
				opinions = append(opinions, up)
			}
		}
		if len(opinions) == 0 {
			return own.says(replica, front)
		}
		return majority(opinions)
	})
}

// majority is what most of those that know say; when they are as many, it is up: a replica that half of the gateways
// reach is better tried than not.
func majority(opinions []bool) bool {
	up := 0
	for _, o := range opinions {
		if o {
			up++
		}
	}
	return 2*up >= len(opinions)
}

// says is the fleet's own word on a front, or on the upstream where that is the zero Addr.
func (f *Fleet) says(replica string, front netip.Addr) bool {
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
