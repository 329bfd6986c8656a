package router

import (
	"slices"
	"testing"
)

func TestRest(t *testing.T) {
	a, b, c := &Replica{Name: "a"}, &Replica{Name: "b"}, &Replica{Name: "c"}
	d := Decision{Tries: []*Replica{a, b, c}}
	for _, test := range []struct {
		name string
		left []string
		want []*Replica
	}{
		{"none was left", nil, []*Replica{a, b, c}},
		{"the first one was", []string{"a"}, []*Replica{b, c, a}},
		{"two were, the farther one first", []string{"b", "a"}, []*Replica{c, b, a}},
		{"all were", []string{"c", "a", "b"}, []*Replica{c, a, b}},
		{"one twice", []string{"a", "b", "a"}, []*Replica{c, a, b}},
		{"one that is gone", []string{"d"}, []*Replica{a, b, c}},
	} {
		if got := d.Rest(test.left); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v", test.name, namesOf(got))
		}
	}
}

func namesOf(of []*Replica) (names []string) {
	for _, r := range of {
		names = append(names, r.Name)
	}
	return names
}
