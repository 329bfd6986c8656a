package main

import (
	"net/netip"
	"testing"

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
	down, up := oneReplica(false, true).Replica("west"), oneReplica(true, true).Replica("west")
	for _, test := range []struct {
		name           string
		owner          *router.Replica // as most see it
		members, peers int
		want           bool
	}{
		{"down for most, all are there", down, 3, 3, true},
		{"down for most, one is away", down, 2, 3, true},
		{"peers without this gateway itself", down, 2, 2, true},
		{"cut off from the others", down, 1, 3, false},
		{"cut off, peers without this gateway itself", down, 1, 2, false},
		{"only this gateway cannot reach it", up, 3, 3, false},
		{"a replica of a newer file", nil, 3, 3, false},
	} {
		if got := mayEnd(test.owner, test.members, test.peers); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
