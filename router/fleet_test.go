package router

import "testing"

func TestFleetIsSortedByName(t *testing.T) {
	var got []string
	for _, r := range fleetOf(t, "west east canada").Replicas() {
		got = append(got, r.Name)
	}
	sameNames(t, got, "canada", "east", "west")
}

func TestFleetHome(t *testing.T) {
	rows := []struct{ name, fleet, want string }{
		{"the one the file names", "west east:home canada", "east"},
		{"the only one", "west", "west"},
		{"none named: the first by name", "west east canada", "canada"},
		{"two named: the first of them by name", "west:home east:home canada", "east"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := fleetOf(t, row.fleet)
			if f.Home().Name != row.want {
				t.Errorf("home is %s, want %s", f.Home().Name, row.want)
			}
			for _, r := range f.Replicas() {
				if r.Home != (r.Name == row.want) {
					t.Errorf("%s: Home is %v", r.Name, r.Home)
				}
			}
		})
	}
}

func TestFleetReplica(t *testing.T) {
	f := fleetOf(t, "west east")
	if got := f.Replica("east"); got != &f.Replicas()[0] {
		t.Errorf("east is %v, want the fleet's own", got)
	}
	for _, name := range []string{"", "gone", "EAST"} {
		if got := f.Replica(name); got != nil {
			t.Errorf("%q is %s, want none", name, got.Name)
		}
	}
}

// A fleet is replaced as a whole: what its maker does with his slice afterwards is nothing to it, and
// his slice stays as it was.
func TestFleetKeepsItsOwnCopy(t *testing.T) {
	mine := []Replica{{Name: "west"}, {Name: "east"}}
	f := NewFleet(mine)
	if mine[0].Name != "west" || mine[1].Home {
		t.Errorf("the maker's slice was changed to %v", mine)
	}
	mine[0].Name = "north"
	if f.Replica("west") == nil || f.Replica("north") != nil {
		t.Error("the fleet changed with its maker's slice")
	}
}

func TestFrontUp(t *testing.T) {
	rows := []struct {
		replica string
		want    bool
	}{
		{"west", true},
		{"west:fronts=down", false},
		{"west:fronts=down/up", true},
		{"west:fronts=up/down", true},
		{"west:fronts=down/down", false},
		{"west:upstream=down", true},
	}
	for _, row := range rows {
		r := replicaOf(t, row.replica)
		if got := r.FrontUp(); got != row.want {
			t.Errorf("%s: front up is %v", row.replica, got)
		}
	}
	if (&Replica{}).FrontUp() {
		t.Error("a replica without an address has a front that is up")
	}
}
