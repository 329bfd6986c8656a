package main

import (
	"reflect"
	"slices"
	"testing"
)

func TestPlan(t *testing.T) {
	w := wanted{baseline: 5, fairlead: 45, kill: 1}
	flip := filter{setups: []string{"dnsmasq", "fairlead"}, modes: []string{"flip"}, registries: []string{"crane"}}
	baseline, gateway := cell{"a", "dnsmasq", "flip", "crane", 0}, cell{"a", "fairlead", "flip", "crane", 0}
	for _, c := range []struct {
		name string
		f    filter
		done []result
		want []step
	}{
		{"nothing is done, in steps that are not too long", flip, nil,
			[]step{{baseline, 0, 5}, {gateway, 0, 20}, {gateway, 20, 20}, {gateway, 40, 5}}},
		{"what is done is not done again", flip,
			[]result{{cell: baseline, Outcomes: map[string]int{failed: 5}},
				{cell: gateway, Outcomes: map[string]int{ok: 20}}, {cell: gateway,
					Outcomes: map[string]int{ok: 10, hung: 1}}},
			[]step{{gateway, 31, 14}}},
		{"more than enough", flip,
			[]result{{cell: baseline, Outcomes: map[string]int{failed: 9}},
				{cell: gateway, Outcomes: map[string]int{ok: 50}}}, nil},
		{"another client's results are no reason", flip,
			[]result{{cell: cell{"b", "dnsmasq", "flip", "crane", 0}, Outcomes: map[string]int{ok: 5}},
				{cell: gateway, Outcomes: map[string]int{ok: 45}}},
			[]step{{baseline, 0, 5}}},
		{"where there is a front, dnsmasq changes nothing", filter{setups: []string{"dnsmasq", "dnsmasq-best"},
			modes: []string{"connection", "request"}}, nil, nil},
		{"a replica is killed in one way only", filter{modes: []string{"kill"}}, nil,
			[]step{{cell{"a", "fairlead", "kill", "distribution", 0}, 0, 1}}},
		{"only gateways ask where a client stands", filter{setups: []string{"none", "dnsmasq-best"},
			modes: []string{"roam"}}, nil, nil},
		{"another client", filter{clients: []string{"b"}}, nil, nil},
	} {
		if got := plan([]string{"a"}, c.f, w, c.done); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%v, not\n%v", c.name, got, c.want)
		}
	}
	if got := plan([]string{"a", "b"}, filter{}, wanted{baseline: 1, fairlead: 1, kill: 1}, nil); len(got) != 2*(10+6+6+12+1+12) {
		t.Errorf("%d steps in all", len(got))
	}
}

func TestPlanOfSizes(t *testing.T) {
	f := filter{modes: []string{"kill", "pull-slow", "roam"}, setups: []string{"fairlead"}}
	small := cell{"crane", "fairlead", "kill", "distribution", 0}
	done := []result{{cell: small, Outcomes: map[string]int{ok: 9}}}
	w := wanted{kill: 9, pull: 3, layer: 4 << 20}
	got := plan([]string{"crane", "helm"}, f, w, done)
	want := []step{
		{cell{"crane", "fairlead", "kill", "distribution", 4 << 20}, 0, 9},
		{cell{"crane", "fairlead", "pull-slow", "distribution", 4 << 20}, 0, 3},
		{cell{"helm", "fairlead", "kill", "distribution", 4 << 20}, 0, 9},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not\n%v", got, want)
	}
	w.layer = 0
	want = []step{
		{cell{"crane", "fairlead", "pull-slow", "distribution", pullLayer}, 0, 3},
		{cell{"helm", "fairlead", "kill", "distribution", 0}, 0, 9},
	}
	if got := plan([]string{"crane", "helm"}, f, w, done); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not\n%v", got, want)
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int{"4MiB": 4 << 20, "64KiB": 64 << 10, "256MiB": 256 << 20, "4": 0, "MiB": 0,
		"1025MiB": 0, "-1KiB": 0, "1KiBMiB": 0, "1.5MiB": 0} {
		if got, err := parseSize(s); got != want || (err != nil) != (want == 0) {
			t.Errorf("%s: %d, %v", s, got, err)
		}
	}
}

func TestHosts(t *testing.T) {
	all := plan([]string{"a", "b"}, filter{modes: []string{"flip", "kill"}, setups: []string{"none", "fairlead"}},
		wanted{baseline: 1, fairlead: 1, kill: 1}, nil)
	var got []int
	for _, host := range hosts(all) {
		got = append(got, len(host))
	}
	if want := []int{2, 2, 1, 2, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if hosts(nil) != nil {
		t.Error("hosts for nothing")
	}
}

func TestSources(t *testing.T) {
	for _, c := range clients {
		for _, name := range c.needs {
			if sources[name] == (source{}) {
				t.Errorf("%s: nobody knows where %s comes from", c.name, name)
			}
		}
	}
}
