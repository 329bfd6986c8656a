package router

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// anybody is the answer for a client that waits for nothing.
func anybody(order Order) Answer { return ForDNS(order, netip.Addr{}, time.Time{}) }

func TestForDNS(t *testing.T) {
	// The nearest first. want: replica, reason, time until the answer can change.
	rows := []struct{ name, fleet, want string }{
		{"all up", "west east canada", "west nearest 0s"},
		{"nearest down", "west:down east canada", "east failover 0s"},
		{"nearest's upstream down: its gateway would only forward", "west:upstream=down east", "east failover 0s"},
		{"nearest's front down", "west:fronts=down east", "east failover 0s"},
		{"one front of two up is enough", "west:fronts=down/up east", "west nearest 0s"},
		{"both fronts down", "west:fronts=down/down east", "east failover 0s"},
		{"all upstreams down: the nearest front", "west:upstream=down east:upstream=down", "west nearest 0s"},
		{"a front without upstream beats an upstream without front",
			"west:fronts=down east:upstream=down", "east failover 0s"},
		{"read-only is no matter of DNS", "west:ro east", "west nearest 0s"},

		{"draining: the next", "west:drain east", "east failover 0s"},
		{"draining, the others' upstreams down: their gateways forward", "west:drain east:upstream=down",
			"east failover 0s"},
		{"draining, the others down: better than nothing", "west:drain east:down", "west nearest 0s"},
		{"all draining: the nearest whose front is up", "west:drain,down east:drain", "east failover 0s"},
		{"offline: the next", "west:offline east", "east failover 0s"},
		{"offline beside draining", "west:offline east:drain", "east failover 0s"},

		{"none up: the nearest", "west:down east:down", "west last_resort 0s"},
		{"none up, one offline though up", "west:offline east:down", "east last_resort 0s"},
		{"all offline", "west:offline east:offline", "west last_resort 0s"},
		{"none up, draining: as near as any", "west:drain,down east:down", "west last_resort 0s"},
		{"one replica, down", "west:down", "west last_resort 0s"},

		{"chosen unsteady", "west:upstream=up+7s east", "west nearest 7s"},
		{"chosen unsteady in one of two fronts", "west:fronts=up/down+3s east", "west nearest 3s"},
		{"the least of several", "west:upstream=up+7s,fronts=up+9s/up+4s east", "west nearest 4s"},
		{"passed over and recovering", "west:upstream=down+5s east:upstream=up+8s", "east failover 5s"},
		{"not consulted: no matter how unsteady", "west east:upstream=up+1s", "west nearest 0s"},
		{"beyond the chosen: not consulted", "west:down east canada:fronts=down+1s", "east failover 0s"},
		{"draining, passed over, unsteady", "west:drain,fronts=down+2s east", "east failover 2s"},
		{"fronts only: every upstream was consulted",
			"west:upstream=down+9s east:upstream=down+6s", "west nearest 6s"},
		{"fronts only: the farther one can come back and win",
			"west:upstream=down east:upstream=down+6s", "west nearest 6s"},
		{"draining: all were consulted", "west:drain east:down canada:fronts=down+3s", "west nearest 3s"},
		{"no front up: upstreams decide, and all were consulted", "west:down east:fronts=down+3s",
			"east last_resort 3s"},
		{"no front up: an online replica before a draining one", "west:drain,fronts=down east:fronts=down",
			"east last_resort 0s"},
		{"no front up: a draining one before a dead one", "west:down east:drain,fronts=down", "east last_resort 0s"},
		{"offline: its probes shorten nothing", "west:offline,fronts=up+3s east", "east failover 0s"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			fleet := fleetOf(t, row.fleet)
			a := anybody(orderOf(t, fleet, row.fleet))
			if got := fmt.Sprint(a.Replica.Name, " ", a.Reason, " ", a.ChangeIn); got != row.want {
				t.Errorf("fleet %q: got %s, want %s", row.fleet, got, row.want)
			}
		})
	}
}
