package main

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/cluster"
	"github.com/fairlead-gateway/fairlead/router"
)

var front = netip.MustParseAddr("192.0.2.1")

func oneReplica(upstream, frontUp bool) *router.Fleet {
	return router.NewFleet([]router.Replica{{
		Name: "west", Operator: router.Online, Writable: true,
		Fronts:   []router.Front{{Addr: front, Health: router.Health{Up: frontUp}}},
		Upstream: router.Health{Up: upstream},
	}})
}

func TestWhatGatewaysAgreeOn(t *testing.T) {
	says := func(upstream, front bool) map[string]cluster.View {
		return map[string]cluster.View{"west": {Upstream: upstream, Fronts: map[string]bool{"192.0.2.1": front}}}
	}
	for _, test := range []struct {
		name                  string
		own                   [2]bool // upstream, front
		views                 views
		upstream, front, trip bool // agreed, and whether a request takes the detour
	}{
		{"alone, up", [2]bool{true, true}, nil, true, true, false},
		{"alone, down", [2]bool{false, false}, nil, false, false, false},
		{"one of three is blind", [2]bool{false, true}, views{"a": says(false, true), "b": says(true, true), "c": says(true, true)}, true, true, true},
		{"two of three see it down", [2]bool{true, true}, views{"a": says(true, true), "b": says(false, true), "c": says(false, true)}, false, true, false},
		{"a tie is up", [2]bool{false, true}, views{"a": says(false, true), "b": says(true, true)}, true, true, true},
		{"blind, and its front is down for others", [2]bool{false, true}, views{"a": says(false, true), "b": says(true, false), "c": says(true, false)}, true, false, true},
		{"cut off from the whole region", [2]bool{false, false}, views{"a": says(false, false), "b": says(true, true), "c": says(true, true)}, true, true, false},
		{"nobody knows this replica", [2]bool{false, true}, views{"b": {"east": {}}}, false, true, false},
		{"one does not know this front", [2]bool{true, false}, views{"b": {"west": {Upstream: true}}}, true, false, false},
	} {
		own := oneReplica(test.own[0], test.own[1])
		s := newSight(own, test.views, nil, "", &sight{}, time.Now())
		got := s.agreed.Replica("west")
		if got.Upstream.Up != test.upstream || got.FrontUp() != test.front {
			t.Errorf("%s: upstream %v, front %v", test.name, got.Upstream.Up, got.FrontUp())
		}
		if trip := s.detour("west"); trip.IsValid() != test.trip {
			t.Errorf("%s: detour by %v", test.name, trip)
		}
	}
}

func TestWhoMayEndALease(t *testing.T) {
	for _, test := range []struct {
		name                 string
		lost, members, peers int
		want                 bool
	}{
		{"down for all", 3, 3, 3, true},
		{"down for most", 2, 3, 3, true},
		{"down for most, one is away", 2, 2, 3, true},
		{"peers without this gateway itself", 2, 2, 2, true},
		{"cut off from the others", 1, 1, 3, false},
		{"cut off, peers without this gateway itself", 1, 1, 2, false},
		{"just back, and the others have not spoken yet", 1, 3, 3, false},
		{"more members than the file has peers", 2, 5, 2, false},
		{"nobody says so", 0, 3, 3, false},
	} {
		if got := mayEnd(test.lost, test.members, test.peers); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestLostIsWhatMembersSay(t *testing.T) {
	got := lost(map[string]map[string]cluster.View{
		"a": {"west": {}, "east": {Upstream: true}},
		"b": {"west": {}, "other": {}},
	})
	if want := map[string]int{"west": 2, "other": 1}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestWhatIsReachable(t *testing.T) {
	up, down := router.Health{Up: true}, router.Health{}
	answers, fails := router.Health{ChangeIn: time.Second}, router.Health{Up: true, ChangeIn: time.Second}
	now := time.Now()
	for _, test := range []struct {
		name    string
		own     router.Health
		before  time.Duration // since the last good probe; 0: none
		vouched bool
		want    bool
	}{
		{"up", up, 0, true, true},
		{"up here alone", up, 0, false, true},
		{"down", down, 0, false, false},
		{"down here alone", down, 0, true, false},
		{"answers again, and others vouch for it", answers, 0, true, true},
		{"answered, then lost a probe", down, time.Second, true, true},
		{"answered too long ago", down, answersFor, true, false},
		{"answers again, and nobody vouches for it", answers, 0, false, false},
		{"up, with failures", fails, 0, false, true},
	} {
		own := router.NewFleet([]router.Replica{{Name: "west", Operator: router.Online, Upstream: test.own}})
		before := &sight{answered: map[string]time.Time{}}
		if test.before > 0 {
			before.answered["west"] = now.Add(-test.before)
		}
		seen := views{"a": {"west": {Upstream: test.vouched}}, "b": {"west": {Upstream: false}}, "c": {"west": {Upstream: false}}}
		s := newSight(own, seen, []cluster.Member{{Name: "a", Here: "west"}}, "east", before, now)
		if got := s.reach.Replica("west").Upstream.Up; got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// The gateway beside a replica vouches for it, when most others have lost the way: through its front it can be reached.
func TestDetourToAWitnessedReplica(t *testing.T) {
	seen := views{"a": {"west": {Upstream: true}}, "b": {"west": {}}, "c": {"west": {}}}
	s := newSight(oneReplica(false, true), seen, []cluster.Member{{Name: "a", Here: "west"}}, "east", &sight{}, time.Now())
	if s.detour("west") != front || !s.reach.Replica("west").Upstream.Up || s.agreed.Replica("west").Upstream.Up {
		t.Errorf("%+v", s)
	}
}

func TestWhoIsWitnessed(t *testing.T) {
	seen := views{
		"a": {"west": {Upstream: true}, "east": {}},
		"b": {"west": {Upstream: true}, "east": {}},
		"c": {"west": {Upstream: true}},
	}
	members := []cluster.Member{{Name: "a", Here: "west"}, {Name: "b", Here: "east"}, {Name: "c"}, {Name: "d", Here: "north"}}
	if got := witnessed(members, seen); !maps.Equal(got, map[string]bool{"west": true}) {
		t.Errorf("%v", got)
	}
}
