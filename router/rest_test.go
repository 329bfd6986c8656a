package router

import (
	"slices"
	"strings"
	"testing"
)

func TestRest(t *testing.T) {
	a, b, c := &Replica{Name: "a", Operator: Online}, &Replica{Name: "b", Operator: Online},
		&Replica{Name: "c", Operator: Online}
	gone := &Replica{Name: "gone", Operator: Offline}
	all := Order{a, b, c, gone}
	for _, test := range []struct {
		name    string
		request Request
		tries   []*Replica
		left    string
		want    string
	}{
		{"none was left", Request{Gateway: all}, []*Replica{a, b, c}, "", "a b c"},
		{"the first one was", Request{Gateway: all}, []*Replica{a, b, c}, "a", "b c a"},
		{"two were, the farther one first", Request{Gateway: all}, []*Replica{a, b, c}, "b a", "c b a"},
		{"all were", Request{Gateway: all}, []*Replica{a, b, c}, "c a b", "c a b"},
		{"one twice", Request{Gateway: all}, []*Replica{a, b, c}, "a b a", "c a b"},
		{"one that is no longer in the fleet", Request{Gateway: all}, []*Replica{a, b, c}, "d", "a b c"},
		{"one that was taken out of service", Request{Gateway: all}, []*Replica{a, b, c}, "gone", "a b c"},
		{"one that is down since", Request{Gateway: all}, []*Replica{b, c}, "a", "b c a"},
		{"one that was deleted from since", Request{Gateway: all, Barred: []string{"a"}}, []*Replica{b, c}, "a", "b c"},
		{"one that has it damaged", Request{Gateway: all, Damaged: []string{"a"}}, []*Replica{b, c}, "a", "b c"},
		{"the one that was named", Request{Gateway: all, Named: "a"}, []*Replica{a}, "a", "a"},
	} {
		got := test.request.Rest(Decision{Tries: test.tries}, strings.Fields(test.left))
		if names := namesOf(got); !slices.Equal(names, strings.Fields(test.want)) {
			t.Errorf("%s: %v", test.name, names)
		}
	}
}

func namesOf(of []*Replica) (names []string) {
	for _, r := range of {
		names = append(names, r.Name)
	}
	return names
}
