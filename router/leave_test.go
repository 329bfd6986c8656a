package router

import (
	"net/netip"
	"testing"
)

// TestServedBeside: whom a gateway that stops may leave its clients to.
func TestServedBeside(t *testing.T) {
	own, sibling, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("198.51.100.1")
	for _, c := range []struct {
		name            string
		sibling, far    bool // up
		unseen, drained bool
		want            bool
	}{
		{"another region", false, true, false, false, true},
		{"a sibling in this one", true, false, false, false, true},
		{"a sibling that nobody sees", true, false, true, false, false},
		{"a region that drains", false, true, false, true, false},
		{"nobody", false, false, false, false, false},
	} {
		far := Replica{Name: "east", Operator: Online, Fronts: []Front{{Addr: far, Health: Health{Up: c.far}}}}
		if c.drained {
			far.Operator = Drain
		}
		fleet := NewFleet([]Replica{far, {
			Name: "west", Home: true, Operator: Online, FrontsUnseen: c.unseen,
			Fronts: []Front{{Addr: own, Health: Health{Up: true}}, {Addr: sibling, Health: Health{Up: c.sibling}}},
		}})
		if got := fleet.ServedBeside("west", []netip.Addr{own}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
