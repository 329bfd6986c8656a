package main

import (
	"fmt"
	"slices"
)

// cell is one thing to measure.
type cell struct {
	Client   string `json:"client"`
	Setup    string `json:"setup"`
	Mode     string `json:"mode"`
	Registry string `json:"registry"`
	Layer    int    `json:"layer,omitempty"` // bytes; 0 is some 64 to 200 KiB
}

// The order of these lists is that of the runs and of the tables.
var (
	setups = []string{"none", "dnsmasq", "dnsmasq-best", "fairlead", "fairlead-cluster"}
	modes  = []string{"connection", "request", "dns-alternate", "dns-random", "flip", "roam", "kill", "pull-kill",
		"pull-stop", "pull-slow", "pull-cut"}
	registries = []string{"distribution", "crane"}
)

func (c cell) String() string {
	s := c.Client + " " + c.Setup + " " + c.Mode + " " + c.Registry
	if c.Layer > 0 {
		s += fmt.Sprintf(" %d KiB", c.Layer>>10)
	}
	return s
}

func (c cell) fairlead() bool { return c.Setup == "fairlead" || c.Setup == "fairlead-cluster" }

func (c cell) dnsmasq() bool { return c.Setup == "dnsmasq" || c.Setup == "dnsmasq-best" }

// front: whether something stands between the client and the ends, so that only one address is ever looked up.
func (c cell) front() bool { return c.Mode == "connection" || c.Mode == "request" || c.Mode == "roam" }

// makesSense: dnsmasq changes nothing where there is one address. The replica that is killed has to be one of
// several behind one gateway, and its files are what is asked afterwards. Where a client stands only gateways ask.
func (c cell) makesSense() bool {
	if c.pulls() && !canPull(c.Client) {
		return false
	}
	if c.Mode == "kill" || c.pulls() {
		return c.Setup == "fairlead" && c.Registry == "distribution"
	}
	if c.Mode == "roam" {
		return c.fairlead()
	}
	return !c.dnsmasq() || !c.front()
}

func canPull(name string) bool {
	return slices.ContainsFunc(clients, func(c client) bool { return c.name == name && c.pull != nil })
}

// filter says what to run; an empty list means all.
type filter struct{ clients, setups, modes, registries []string }

func (f filter) takes(c cell) bool {
	takes := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	return takes(f.clients, c.Client) && takes(f.setups, c.Setup) && takes(f.modes, c.Mode) &&
		takes(f.registries, c.Registry)
}

// wanted is how many pushes or pulls each kind of cell is to have, and of which size.
type wanted struct {
	baseline, fairlead, kill, pull int
	layer                          int // bytes, of the pushes of kill and of pulls; 0 is the usual
}

// pullLayer is the size of what is pulled: one layer, so that what happens to its replica happens to all of it.
const pullLayer = 256 << 20

func (w wanted) layerOf(mode string) int {
	c := cell{Mode: mode}
	switch {
	case c.pulls() && w.layer == 0:
		return pullLayer
	case c.pulls() || mode == "kill":
		return w.layer
	}
	return 0
}

func (w wanted) of(c cell) int {
	switch {
	case c.Mode == "kill":
		return w.kill
	case c.pulls():
		return w.pull
	case c.fairlead():
		return w.fairlead
	}
	return w.baseline
}

// step is a cell and the pushes or pulls that it still lacks. First tells those from earlier ones: it is where the seeds begin.
type step struct {
	Cell   cell `json:"cell"`
	First  int  `json:"first"`
	Pushes int  `json:"pushes"`
}

// maxPushes of one step: what was done when a run is broken off is kept by steps.
const maxPushes = 20

// plan lists what is missing, for one client after the other.
func plan(clients []string, f filter, w wanted, done []result) []step {
	have := map[cell]int{}
	for _, r := range done {
		have[r.cell] += r.pushes()
	}
	var steps []step
	for _, client := range clients {
		for _, setup := range setups {
			for _, mode := range modes {
				for _, registry := range registries {
					c := cell{client, setup, mode, registry, w.layerOf(mode)}
					if !c.makesSense() || !f.takes(c) {
						continue
					}
					for first := have[c]; first < w.of(c); first += maxPushes {
						steps = append(steps, step{c, first, min(maxPushes, w.of(c)-first)})
					}
				}
			}
		}
	}
	return steps
}

// hosts are the steps that share a host, and so a client's daemon. They are cut small enough to be run side by side.
func hosts(steps []step) [][]step {
	together := func(a, b step) bool {
		return a.Cell.Client == b.Cell.Client && a.Cell.Setup == b.Cell.Setup &&
			(a.Cell.Mode == "kill") == (b.Cell.Mode == "kill") && a.Cell.pulls() == b.Cell.pulls()
	}
	var all [][]step
	for _, s := range steps {
		if last := len(all) - 1; last >= 0 && together(all[last][0], s) {
			all[last] = append(all[last], s)
		} else {
			all = append(all, []step{s})
		}
	}
	return all
}
