package health

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairlead-gateway/fairlead/router"
)

// TestOwnFronts: a gateway that sees no front of its own region up is behind something that does not let it see them.
func TestOwnFronts(t *testing.T) {
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for _, c := range []struct {
		here          string
		leaving       []netip.Addr
		first, second bool // as probed
		want          [2]bool
		unseen        bool
	}{
		{"west", nil, true, true, [2]bool{true, true}, false},
		{"west", nil, true, false, [2]bool{true, false}, false},
		{"west", nil, false, false, [2]bool{true, true}, true},
		{"east", nil, false, false, [2]bool{false, false}, false},
		{"", nil, false, false, [2]bool{false, false}, false},
		{"west", []netip.Addr{second}, true, true, [2]bool{true, false}, false},
		{"west", []netip.Addr{first, second}, false, false, [2]bool{false, false}, true},
		{"east", []netip.Addr{first}, true, true, [2]bool{true, true}, false},
	} {
		replica := router.Replica{Name: "west", Fronts: []router.Front{{Addr: first}, {Addr: second}}}
		fleet := assemble([]router.Replica{replica}, c.here, c.leaving, map[key]router.Health{
			{"west", first}: {Up: c.first}, {"west", second}: {Up: c.second},
		})
		got := fleet.Replica("west")
		if up := [2]bool{got.Fronts[0].Health.Up, got.Fronts[1].Health.Up}; up != c.want ||
			got.FrontsUnseen != c.unseen {
			t.Errorf("%s: %v, unseen %t", fmt.Sprint(c), up, got.FrontsUnseen)
		}
	}
}
