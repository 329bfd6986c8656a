package replication

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// last stands for cluster.Arbiter.
func last(_ string, members []string) string { return slices.Max(members) }

func TestAssign(t *testing.T) {
	replicas := []string{"a", "b", "c"}
	for _, c := range []struct {
		name    string
		members []Member
		mine    []string
	}{
		{"alone, nowhere", []Member{{"me", ""}}, []string{"a", "b", "c"}},
		{"alone beside one: the others have nobody else", []Member{{"me", "a"}}, []string{"a", "b", "c"}},
		{"one beside each", []Member{{"me", "b"}, {"x", "a"}, {"y", "c"}}, []string{"b"}},
		{"those beside them come first", []Member{{"me", ""}, {"x", "a"}, {"y", "b"}, {"z", "c"}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Assign(replicas, c.members, "me", last)
			if !slices.Equal(got, c.mine) {
				t.Errorf("%v, not %v", got, c.mine)
			}
		})
	}
}

// Every replica is served by exactly one member, by one that stands beside it if there is one.
func TestAssignOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := []string{"a", "b", "c", "d"}
		var members []Member
		for i := range rapid.IntRange(1, 9).Draw(t, "members") {
			members = append(members, Member{fmt.Sprint("m", i),
				rapid.SampledFrom(append([]string{""}, replicas...)).Draw(t, "here")})
		}
		served := map[string]Member{}
		for _, m := range members {
			for _, r := range Assign(replicas, members, m.Name, last) {
				if other, twice := served[r]; twice {
					t.Fatalf("%s by %v and %v", r, other, m)
				}
				served[r] = m
			}
		}
		for _, r := range replicas {
			by, ok := served[r]
			beside := slices.ContainsFunc(members, func(m Member) bool { return m.Here == r })
			if !ok || beside && by.Here != r {
				t.Fatalf("%s by %v of %v", r, by, members)
			}
		}
	})
}
