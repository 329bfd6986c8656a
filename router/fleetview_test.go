package router

import (
	"net/netip"
	"testing"
	"time"
)

var front = netip.MustParseAddr("192.0.2.1")

func oneReplica(upstream, frontUp bool) *Fleet {
	return NewFleet([]Replica{{
		Name: "west", Operator: Online, Writable: true,
		Fronts:   []Front{{Addr: front, Health: Health{Up: frontUp}}},
		Upstream: Health{Up: upstream},
	}})
}

func TestWhatGatewaysAgreeOn(t *testing.T) {
	says := func(upstream, front bool) Witness {
		return Witness{"", map[string]Seen{"west": {Upstream: upstream, Fronts: map[string]bool{"192.0.2.1": front}}}}
	}
	for _, test := range []struct {
		name                  string
		own                   [2]bool // upstream, front
		all                   []Witness
		upstream, front, trip bool // agreed, and whether a request takes the detour
	}{
		{"alone, up", [2]bool{true, true}, nil, true, true, false},
		{"alone, down", [2]bool{false, false}, nil, false, false, false},
		{"one of three is blind", [2]bool{false, true}, []Witness{says(false, true), says(true, true), says(true, true)}, true, true, true},
		{"two of three see it down", [2]bool{true, true}, []Witness{says(true, true), says(false, true), says(false, true)}, false, true, false},
		{"a tie is up", [2]bool{false, true}, []Witness{says(false, true), says(true, true)}, true, true, true},
		{"blind, and its front is down for others", [2]bool{false, true}, []Witness{says(false, true), says(true, false), says(true, false)}, true, false, true},
		{"cut off from the whole region", [2]bool{false, false}, []Witness{says(false, false), says(true, true), says(true, true)}, true, true, false},
		{"nobody knows this replica", [2]bool{false, true}, []Witness{{"", map[string]Seen{"east": {}}}}, false, true, false},
		{"one does not know this front", [2]bool{true, false}, []Witness{{"", map[string]Seen{"west": {Upstream: true}}}}, true, false, false},
	} {
		own := oneReplica(test.own[0], test.own[1])
		s := NewSight(own, test.all, "", &Sight{}, time.Now())
		got := s.Agreed.Replica("west")
		if got.Upstream.Up != test.upstream || got.FrontUp() != test.front {
			t.Errorf("%s: upstream %v, front %v", test.name, got.Upstream.Up, got.FrontUp())
		}
		if trip := s.Detour("west"); trip.IsValid() != test.trip {
			t.Errorf("%s: detour by %v", test.name, trip)
		}
	}
}

// west is what a gateway beside here says of it.
func west(here string, upstream bool) Witness {
	return Witness{here, map[string]Seen{"west": {Upstream: upstream}}}
}

func TestWhoMayEndALease(t *testing.T) {
	down, up, mute := west("", false), west("", true), Witness{}
	for _, test := range []struct {
		name           string
		all            []Witness
		members, peers int
		want           bool
	}{
		{"down for all", []Witness{down, down, down}, 3, 3, true},
		{"down for most", []Witness{down, down, up}, 3, 3, true},
		{"down for most, one is away", []Witness{down, down}, 2, 3, true},
		{"peers without this gateway itself", []Witness{down, down}, 2, 2, true},
		{"cut off from the others", []Witness{down}, 1, 3, false},
		{"cut off, peers without this gateway itself", []Witness{down}, 1, 2, false},
		{"just back, and the others have not spoken yet", []Witness{down, mute, mute}, 3, 3, false},
		{"more members than the file has peers", []Witness{down, down, up, up, up}, 5, 2, false},
		{"nobody says so", []Witness{up, up, up}, 3, 3, false},
	} {
		s := NewSight(oneReplica(false, true), test.all, "", &Sight{}, time.Now())
		if got := s.MayEnd("west", test.members, test.peers); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestWhatIsReachable(t *testing.T) {
	up, down := Health{Up: true}, Health{}
	answers, fails := Health{ChangeIn: time.Second}, Health{Up: true, ChangeIn: time.Second}
	most, beside := []Witness{west("", true), west("", true), west("", false)}, []Witness{west("west", true), west("", false), west("", false)}
	nobody := []Witness{west("west", false), west("east", true), west("", false)}
	now := time.Now()
	for _, test := range []struct {
		name        string
		own         Health
		before      time.Duration // since the last good probe; 0: none
		all         []Witness
		want, blind bool
	}{
		{"up", up, 0, most, true, false},
		{"up here alone", up, 0, nobody, true, false},
		{"down", down, 0, nobody, false, false},
		{"down here alone", down, 0, most, false, true},
		{"answers again, and most see it up", answers, 0, most, true, true},
		{"answers again, and the one beside it sees it up", answers, 0, beside, true, true},
		{"answered, then lost a probe", down, time.Second, beside, true, true},
		{"answered too long ago", down, answersFor, beside, false, true},
		{"answers again, and nobody vouches for it", answers, 0, nobody, false, false},
		{"up, with failures", fails, 0, nobody, true, false},
	} {
		own := NewFleet([]Replica{{Name: "west", Operator: Online, Upstream: test.own}})
		before := &Sight{answered: map[string]time.Time{}}
		if test.before > 0 {
			before.answered["west"] = now.Add(-test.before)
		}
		s := NewSight(own, test.all, "east", before, now)
		if got := s.Reach.Replica("west").Upstream.Up; got != test.want || s.Blind("west") != test.blind {
			t.Errorf("%s: %v, blind %v", test.name, got, s.Blind("west"))
		}
	}
}

// The gateway beside a replica vouches for it, when most others have lost the way: through its front it can be reached.
func TestDetourToAWitnessedReplica(t *testing.T) {
	all := []Witness{west("west", true), west("", false), west("", false)}
	for here, want := range map[string]netip.Addr{"east": front, "west": {}} {
		s := NewSight(oneReplica(false, true), all, here, &Sight{}, time.Now())
		if s.Detour("west") != want || s.Reach.Replica("west").Upstream.Up != want.IsValid() || s.Agreed.Replica("west").Upstream.Up {
			t.Errorf("from %s: %+v", here, s)
		}
	}
}

func TestMajority(t *testing.T) {
	tests := []struct {
		opinions []bool
		want     bool
	}{
		{nil, true}, {[]bool{true}, true}, {[]bool{false}, false}, {[]bool{true, false}, true},
		{[]bool{false, false, true}, false}, {[]bool{false, true, true}, true}, {[]bool{false, true, false, true}, true},
	}
	for _, tt := range tests {
		if got := majority(tt.opinions); got != tt.want {
			t.Errorf("%v: %v", tt.opinions, got)
		}
	}
}
