package configs

import "testing"

func TestFilterLeavesOut(t *testing.T) {
	for _, c := range []struct {
		filter              Filter
		replica, repository string
		out                 bool
	}{
		{Filter{Repositories: []string{"*"}}, "a", "app", true},
		{Filter{Replica: "a", Repositories: []string{"*"}}, "b", "app", false},
		{Filter{Replica: "a", Repositories: []string{"team/*"}}, "a", "team/app", true},
		{Filter{Replica: "a", Repositories: []string{"team/*"}}, "a", "teams/app", false},
		{Filter{Repositories: []string{"other", "app"}}, "a", "app", true},
		{Filter{Repositories: []string{"app"}}, "a", "app/web", false},
	} {
		if got := c.filter.LeavesOut(c.replica, c.repository); got != c.out {
			t.Errorf("%+v of %s on %s: %v", c.filter, c.repository, c.replica, got)
		}
	}
}
