package router

import "testing"

func TestPlanRepair(t *testing.T) {
	west, east := Holder{"west", Has}, Holder{"east", Has}
	noWest, noEast := Holder{"west", Lacks}, Holder{"east", Lacks}
	downWest := Holder{"west", Unknown}
	for _, test := range []struct {
		name     string
		owner    Presence
		others   []Holder
		optional bool
		want     Repair
	}{
		{"the owner has it", Has, []Holder{west}, false, Repair{}},
		{"the owner does not say", Unknown, []Holder{west}, false, Repair{}},
		{"another has it", Lacks, []Holder{noWest, east}, false, Repair{From: "east"}},
		{"two others have it", Lacks, []Holder{west, east}, false, Repair{From: "west"}},
		{"one has it, another cannot be asked", Lacks, []Holder{downWest, east}, false, Repair{From: "east"}},
		{"nobody has it", Lacks, []Holder{noWest, noEast}, false, Repair{Missing: true}},
		{"nobody else is there", Lacks, nil, false, Repair{Missing: true}},
		{"who may have it cannot be asked", Lacks, []Holder{downWest, noEast}, false, Repair{Unsure: true}},
		{"a child that another has", Lacks, []Holder{noWest, east}, true, Repair{From: "east"}},
		{"a child that nobody has", Lacks, []Holder{noWest, noEast}, true, Repair{}},
		{"a child of whom nobody knows", Lacks, []Holder{downWest}, true, Repair{}},
	} {
		if got := PlanRepair(test.owner, test.others, test.optional); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
