package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// compareChallenges tells which upstreams ask for other credentials than most do: one line for each group that
// differs. A client signs in once, at the one name, and its requests may end on any replica.
func compareChallenges(results []liveResult) []string {
	groups := map[string][]string{} // what is asked for → who asks
	var order []string
	for _, r := range results {
		if r.Target != targetUpstream || r.Err != nil {
			continue
		}
		asks := wanted(r.Challenge)
		if groups[asks] == nil {
			order = append(order, asks)
		}
		groups[asks] = append(groups[asks], r.Replica)
	}
	if len(order) < 2 {
		return nil
	}
	most := slices.MaxFunc(order, func(a, b string) int { return len(groups[a]) - len(groups[b]) })
	var differences []string
	for _, asks := range order {
		if asks != most {
			differences = append(differences, fmt.Sprintf("clients sign in once, but %s wants %s where %s wants %s",
				strings.Join(groups[asks], ", "), asks, strings.Join(groups[most], ", "), most))
		}
	}
	return differences
}

// wanted is what a challenge asks for, in one spelling: schemes, realms and services, in no order. The scope of
// a Bearer challenge depends on the request and is left out.
func wanted(header string) string {
	var all []string
	for _, c := range oci.Challenges(header) {
		s := c.Scheme
		for _, name := range []string{"realm", "service"} {
			if value := c.Parameters[name]; value != "" {
				s += fmt.Sprintf(" %s=%q", name, value)
			}
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return "no credentials"
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " or ")
}
