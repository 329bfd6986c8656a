package router

import (
	"net/netip"
	"strings"
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
	says := func(upstream, front bool) GatewayView {
		return GatewayView{"", map[string]ReplicaView{"west": {Upstream: upstream,
			Fronts: map[string]bool{"192.0.2.1": front}}}}
	}
	for _, test := range []struct {
		name                     string
		own                      [2]bool // upstream, front
		all                      []GatewayView
		upstream, front, relayed bool // agreed, and whether a request is relayed
	}{
		{"alone, up", [2]bool{true, true}, nil, true, true, false},
		{"alone, down", [2]bool{false, false}, nil, false, false, false},
		{"one of three cannot reach it", [2]bool{false, true},
			[]GatewayView{says(false, true), says(true, true), says(true, true)}, true, true, true},
		{"two of three see it down", [2]bool{true, true},
			[]GatewayView{says(true, true), says(false, true), says(false, true)}, false, true, false},
		{"a tie is up", [2]bool{false, true}, []GatewayView{says(false, true), says(true, true)}, true, true, true},
		{"only this one cannot reach it, and its front is down for others", [2]bool{false, true},
			[]GatewayView{says(false, true), says(true, false), says(true, false)}, true, false, true},
		{"cut off from the whole region", [2]bool{false, false},
			[]GatewayView{says(false, false), says(true, true), says(true, true)}, true, true, false},
		{"nobody knows this replica", [2]bool{false, true}, []GatewayView{{"", map[string]ReplicaView{"east": {}}}},
			false, true, false},
		{"one does not know this front", [2]bool{true, false},
			[]GatewayView{{"", map[string]ReplicaView{"west": {Upstream: true}}}}, true, false, false},
	} {
		own := oneReplica(test.own[0], test.own[1])
		s := NewFleetView(own, test.all, "", &FleetView{}, time.Now())
		got := s.Agreed.Replica("west")
		if got.Upstream.Up != test.upstream || got.FrontUp() != test.front {
			t.Errorf("%s: upstream %v, front %v", test.name, got.Upstream.Up, got.FrontUp())
		}
		if relayed := s.RelayFront("west"); relayed.IsValid() != test.relayed {
			t.Errorf("%s: relayed by %v", test.name, relayed)
		}
	}
}

// TestUnshared: what one live gateway does not know gets no lease; its health is as it was, for requests and for DNS.
func TestUnshared(t *testing.T) {
	sees := func(replicas ...string) GatewayView {
		g := GatewayView{Sees: map[string]ReplicaView{}}
		for _, name := range replicas {
			g.Sees[name] = ReplicaView{Upstream: true}
		}
		return g
	}
	for _, test := range []struct {
		name string
		all  []GatewayView
		want string
	}{
		{"alone", nil, ""},
		{"all know all", []GatewayView{sees("west", "east"), sees("west", "east")}, ""},
		{"one has told nothing yet", []GatewayView{sees("west", "east"), sees()}, ""},
		{"one does not know it", []GatewayView{sees("west", "east"), sees("west", "east"), sees("west")}, "east"},
		{"one knows another one", []GatewayView{sees("west", "east"), sees("west", "south")}, "east"},
		{"one has another file altogether", []GatewayView{sees("west", "east"), sees("south")}, "east west"},
	} {
		v := NewFleetView(fleetOf(t, "west east"), test.all, "west", &FleetView{}, time.Now())
		var got []string
		for _, r := range v.Reachable.Replicas() {
			if r.Unshared {
				got = append(got, r.Name)
			}
			if !r.Readable() || !v.Agreed.Replica(r.Name).Readable() || v.Agreed.Replica(r.Name).Unshared {
				t.Errorf("%s: %s cannot be read", test.name, r.Name)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// west is what a gateway beside here says of it.
func west(here string, upstream bool) GatewayView {
	return GatewayView{here, map[string]ReplicaView{"west": {Upstream: upstream}}}
}

func TestWhoMayEndALease(t *testing.T) {
	down, up, mute := west("", false), west("", true), GatewayView{}
	for _, test := range []struct {
		name           string
		all            []GatewayView
		members, peers int
		want           bool
	}{
		{"down for all", []GatewayView{down, down, down}, 3, 3, true},
		{"down for most", []GatewayView{down, down, up}, 3, 3, true},
		{"down for most, one is away", []GatewayView{down, down}, 2, 3, true},
		{"peers without this gateway itself", []GatewayView{down, down}, 2, 2, true},
		{"cut off from the others", []GatewayView{down}, 1, 3, false},
		{"cut off, peers without this gateway itself", []GatewayView{down}, 1, 2, false},
		{"just back, and the others have not spoken yet", []GatewayView{down, mute, mute}, 3, 3, false},
		{"more members than the file has peers", []GatewayView{down, down, up, up, up}, 5, 2, false},
		{"nobody says so", []GatewayView{up, up, up}, 3, 3, false},
	} {
		s := NewFleetView(oneReplica(false, true), test.all, "", &FleetView{}, time.Now())
		if got := s.MayEnd("west", test.members, test.peers); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestWhatIsReachable(t *testing.T) {
	up, down := Health{Up: true}, Health{}
	answers, fails := Health{ChangeIn: time.Second}, Health{Up: true, ChangeIn: time.Second}
	most, beside := []GatewayView{west("", true), west("", true), west("", false)},
		[]GatewayView{west("west", true), west("", false), west("", false)}
	nobody := []GatewayView{west("west", false), west("east", true), west("", false)}
	now := time.Now()
	for _, test := range []struct {
		name        string
		own         Health
		before      time.Duration // since the last good probe; 0: none
		all         []GatewayView
		want, alone bool
	}{
		{"up", up, 0, most, true, false},
		{"up here alone", up, 0, nobody, true, false},
		{"down", down, 0, nobody, false, false},
		{"down here alone", down, 0, most, false, true},
		{"answers again, and most see it up", answers, 0, most, true, true},
		{"answers again, and the one beside it sees it up", answers, 0, beside, true, true},
		{"answered, then lost a probe", down, time.Second, beside, true, true},
		{"answered too long ago", down, oneProbeCounts, beside, false, true},
		{"answers again, and nobody vouches for it", answers, 0, nobody, false, false},
		{"up, with failures", fails, 0, nobody, true, false},
	} {
		own := NewFleet([]Replica{{Name: "west", Operator: Online, Upstream: test.own}})
		before := &FleetView{lastGood: map[string]time.Time{}}
		if test.before > 0 {
			before.lastGood["west"] = now.Add(-test.before)
		}
		s := NewFleetView(own, test.all, "east", before, now)
		if got := s.Reachable.Replica("west").Upstream.Up; got != test.want || s.UnreachableHere("west") != test.alone {
			t.Errorf("%s: %v, unreachable here alone %v", test.name, got, s.UnreachableHere("west"))
		}
	}
}

func TestReplicaThatOnlyOthersHave(t *testing.T) {
	gone := GatewayView{"gone", map[string]ReplicaView{"gone": {Upstream: true}}}
	s := NewFleetView(oneReplica(true, true), []GatewayView{gone, west("west", true)}, "west", &FleetView{}, time.Now())
	if s.UnreachableHere("gone") || s.RelayFront("gone").IsValid() || s.Reachable.Replica("gone") != nil {
		t.Error("our fleet does not have it, and there is a way to it")
	}
}

// The gateway beside a replica vouches for it, when most others have lost the way: through its front it can be reached.
func TestRelayToAReplicaThatOneVouchesFor(t *testing.T) {
	all := []GatewayView{west("west", true), west("", false), west("", false)}
	for here, want := range map[string]netip.Addr{"east": front, "west": {}} {
		s := NewFleetView(oneReplica(false, true), all, here, &FleetView{}, time.Now())
		if s.RelayFront("west") != want || s.Reachable.Replica("west").Upstream.Up != want.IsValid() ||
			s.Agreed.Replica("west").Upstream.Up {
			t.Errorf("from %s: %+v", here, s)
		}
	}
}

func TestMajority(t *testing.T) {
	tests := []struct {
		votes []bool
		want  bool
	}{
		{nil, true}, {[]bool{true}, true}, {[]bool{false}, false}, {[]bool{true, false}, true},
		{[]bool{false, false, true}, false}, {[]bool{false, true, true}, true},
		{[]bool{false, true, false, true}, true},
	}
	for _, tt := range tests {
		if got := majority(tt.votes); got != tt.want {
			t.Errorf("%v: %v", tt.votes, got)
		}
	}
}
