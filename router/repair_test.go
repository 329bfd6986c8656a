package router

import "testing"

func TestMendPart(t *testing.T) {
	west, east := Holder{"west", Has}, Holder{"east", Has}
	noWest, noEast := Holder{"west", Lacks}, Holder{"east", Lacks}
	downWest := Holder{"west", Unknown}
	for _, test := range []struct {
		name     string
		owner    Presence
		others   []Holder
		optional bool
		want     Mend
	}{
		{"the owner has it", Has, []Holder{west}, false, Mend{}},
		{"the owner does not say", Unknown, []Holder{west}, false, Mend{}},
		{"another has it", Lacks, []Holder{noWest, east}, false, Mend{From: "east"}},
		{"two others have it", Lacks, []Holder{west, east}, false, Mend{From: "west"}},
		{"one has it, another cannot be asked", Lacks, []Holder{downWest, east}, false, Mend{From: "east"}},
		{"nobody has it", Lacks, []Holder{noWest, noEast}, false, Mend{Hole: true}},
		{"nobody else is there", Lacks, nil, false, Mend{Hole: true}},
		{"who may have it cannot be asked", Lacks, []Holder{downWest, noEast}, false, Mend{Lost: true}},
		{"a child that another has", Lacks, []Holder{noWest, east}, true, Mend{From: "east"}},
		{"a child that nobody has", Lacks, []Holder{noWest, noEast}, true, Mend{}},
		{"a child of whom nobody knows", Lacks, []Holder{downWest}, true, Mend{}},
	} {
		if got := MendPart(test.owner, test.others, test.optional); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
