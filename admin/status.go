package admin

import (
	"cmp"
	"fmt"
	"time"
)

// Status is the answer of /status: all that this gateway knows, on one page.
type Status struct {
	Fleet       Fleet       `json:"fleet"`
	Replication Replication `json:"replication"`
	Cluster     Cluster     `json:"cluster"`
	File        string      `json:"file"`   // that is in force, and what is beside it
	Since       time.Time   `json:"since"`  // when what is in force was read
	Pushes      int         `json:"pushes"` // repositories of which a push has a request under way here
	Needs       []string    `json:"needs"`  // what a person should look at
}

// status puts the page together.
func (c Config) status() Status {
	s := Status{Fleet: c.Fleet(), Replication: c.Replication(), Cluster: c.Cluster()}
	force := c.Configs.InForce()
	s.File, s.Since = force.Last.File, force.Since
	for _, l := range c.Leases() {
		if l.Open > 0 {
			s.Pushes++
		}
	}
	s.Needs = s.needs(c.Ready())
	return s
}

// needs is what does not go away by itself, or should not be so. What the operator has said is not among it: a drain.
func (s Status) needs(checks []Check) []string {
	list := []string{}
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range checks {
		text := cmp.Or(c.Problem, c.Note)
		add(text != "" && !(c.Stopping && s.Fleet.Draining), "%s: %s", c.Name, text)
	}
	for _, r := range s.Fleet.Replicas {
		if r.State == "offline" {
			continue
		}
		for _, p := range r.Probes {
			add(p.Known && !p.Up, "%s: %s %s is down since %s: %s", r.Name, p.Target, p.URL, at(p.Since), p.Result)
			add(p.Up && p.Slow, "%s: %s %s answers in many times its usual time", r.Name, p.Target, p.URL)
		}
		add(r.Unshared, "%s: not all gateways know it, so no push begins there: give all the same file", r.Name)
		if f := r.WriteFailing; f != nil {
			add(true, "%s: takes no new pushes since %s: it answered %d to an upload to %s", r.Name, at(f.Since),
				f.Status, f.Repository)
		}
		add(r.State == "leaving" && !r.Up, "%s: leaves, and what only it has cannot be copied while it is down: "+
			"`fairlead replication delete %s --force` does not wait", r.Name, r.Name)
	}
	for _, p := range s.Replication.Replicas {
		add(p.Detail != nil && p.Detail.GivenUp > 0, "%s: copies were given up: see `fairlead replication failures`",
			p.Replica)
	}
	return list
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
