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
		first, second bool // as probed
		want          [2]bool
		unseen        bool
	}{
		{"west", true, true, [2]bool{true, true}, false},
		{"west", true, false, [2]bool{true, false}, false},
		{"west", false, false, [2]bool{true, true}, true},
		{"east", false, false, [2]bool{false, false}, false},
		{"", false, false, [2]bool{false, false}, false},
	} {
		replica := router.Replica{Name: "west", Fronts: []router.Front{{Addr: first}, {Addr: second}}}
		fleet := assemble([]router.Replica{replica}, c.here, map[key]router.Health{
			{"west", first}: {Up: c.first}, {"west", second}: {Up: c.second},
		})
		got := fleet.Replica("west")
		if up := [2]bool{got.Fronts[0].Health.Up, got.Fronts[1].Health.Up}; up != c.want || got.FrontsUnseen != c.unseen {
			t.Errorf("%s: %v, unseen %t", fmt.Sprint(c), up, got.FrontsUnseen)
		}
	}
}
