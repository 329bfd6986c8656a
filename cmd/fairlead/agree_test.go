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
	type views = map[string]map[string]cluster.View
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
		got := agreed(own, test.views).Replica("west")
		if got.Upstream.Up != test.upstream || got.FrontUp() != test.front {
			t.Errorf("%s: upstream %v, front %v", test.name, got.Upstream.Up, got.FrontUp())
		}
		if trip := detour(own.Replica("west"), got); trip.IsValid() != test.trip {
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
		"c": {"west": {Answers: true}},
	})
	if want := map[string]int{"west": 2, "other": 1}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestWhatIsReachable(t *testing.T) {
	up, down := router.Health{Up: true}, router.Health{}
	answers, fails := router.Health{ChangeIn: time.Second}, router.Health{Up: true, ChangeIn: time.Second}
	for _, test := range []struct {
		name    string
		own     router.Health
		vouched bool
		want    bool
	}{
		{"up", up, true, true},
		{"up here alone", up, false, true},
		{"down", down, false, false},
		{"down here alone", down, true, false},
		{"answers again, and others vouch for it", answers, true, true},
		{"answers again, and nobody vouches for it", answers, false, false},
		{"up, with failures", fails, false, true},
	} {
		if got := reachable(&router.Replica{Upstream: test.own}, test.vouched); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestWhoIsWitnessed(t *testing.T) {
	views := map[string]map[string]cluster.View{
		"a": {"west": {Upstream: true}, "east": {}},
		"b": {"west": {Upstream: true}, "east": {}},
		"c": {"west": {Upstream: true}},
	}
	members := []cluster.Member{{Name: "a", Here: "west"}, {Name: "b", Here: "east"}, {Name: "c"}, {Name: "d", Here: "north"}}
	if got := witnessed(members, views); !maps.Equal(got, map[string]bool{"west": true}) {
		t.Errorf("%v", got)
	}
}
