package admin

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNeeds(t *testing.T) {
	since := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	replica := func(change func(r *Replica)) Status {
		r := Replica{Name: "westus", State: "online", Up: true,
			Probes: []Probe{{Target: "upstream", URL: "http://r", Known: true, Up: true, Since: since}}}
		change(&r)
		return Status{Fleet: Fleet{Replicas: []Replica{r}}}
	}
	copies := func(givenUp int) Status {
		return Status{Replication: Replication{Replicas: []Progress{{Replica: "westus", Detail: &Detail{GivenUp: givenUp}},
			{Replica: "eastus"}}}}
	}
	down := func(r *Replica) {
		r.Up, r.Probes[0].Up, r.Probes[0].Result = false, false, "connection refused"
	}
	for name, c := range map[string]struct {
		status Status
		checks []Check
		want   []string
	}{
		"well":    {status: replica(func(*Replica) {}), checks: []Check{{Name: "a"}}},
		"problem": {checks: []Check{{Name: "a", Problem: "b"}}, want: []string{"a: b"}},
		"note":    {checks: []Check{{Name: "a", Note: "f:3: dns.ttl: x"}}, want: []string{"a: f:3: dns.ttl: x"}},
		"drains":  {Status{Fleet: Fleet{Draining: true}}, []Check{{Name: "a", Problem: "b", Stopping: true}}, nil},
		"stops":   {Status{}, []Check{{Name: "a", Problem: "b", Stopping: true}}, []string{"a: b"}},
		"down": {status: replica(down), want: []string{
			"westus: upstream http://r is down since 2026-12-01T03:00:00Z: connection refused"}},
		"not probed yet": {status: replica(func(r *Replica) { r.Probes[0].Up, r.Probes[0].Known = false, false })},
		"down, offline":  {status: replica(func(r *Replica) { down(r); r.State = "offline" })},
		"slow": {status: replica(func(r *Replica) { r.Probes[0].Slow = true }), want: []string{
			"westus: upstream http://r answers in many times its usual time"}},
		"unshared": {status: replica(func(r *Replica) { r.Unshared = true }), want: []string{
			"westus: not all gateways know it, so no push begins there: give all the same file"}},
		"full": {status: replica(func(r *Replica) { r.WriteFailing = &WriteFailing{since, 507, "app", since, false} }),
			want: []string{
				"westus: takes no new pushes since 2026-12-01T03:00:00Z: it answered 507 to an upload to app"}},
		"leaves":  {status: replica(func(r *Replica) { r.State = "leaving" })},
		"drained": {status: replica(func(r *Replica) { r.State = "drain" })},
		"leaves, down": {status: replica(func(r *Replica) { r.State = "leaving"; r.Up = false }), want: []string{
			"westus: leaves, and what only it has cannot be copied while it is down: " +
				"`fairlead replication delete westus --force` does not wait"}},
		"copies":   {status: copies(0)},
		"given up": {status: copies(2), want: []string{"westus: copies were given up: see `fairlead replication failures`"}},
	} {
		if got := c.status.needs(c.checks); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
