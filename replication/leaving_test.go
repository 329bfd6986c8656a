package replication

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

func TestLeavingWaitsFor(t *testing.T) {
	began := time.Unix(1_000_000, 0)
	free := Leaving{Since: began, Known: true, Up: true, Target: true}
	with := func(change func(*Leaving)) Leaving {
		l := free
		change(&l)
		return l
	}
	for name, tt := range map[string]struct {
		Leaving
		after time.Duration
		want  string
	}{
		"nothing":      {free, 0, ""},
		"not surveyed": {with(func(l *Leaving) { l.Known = false }), time.Hour, "an audit of what it has is not over"},
		"not surveyed, down": {with(func(l *Leaving) { l.Known, l.Up = false, false }), 0,
			"an audit of what it has is not over; it is down"},
		"down, all is copied": {with(func(l *Leaving) { l.Up = false }), 0, ""},
		"down, some is not": {with(func(l *Leaving) { l.Up, l.Only = false, 2 }), time.Hour,
			"2 tags and manifests that only it has; it is down"},
		"left out": {with(func(l *Leaving) { l.LeftOut = 1 }), time.Hour,
			"1 tags and manifests that only it has, and that filters keep from all others"},
		"uploads":           {with(func(l *Leaving) { l.Uploads, l.Leases = 1, 2 }), LeavingUploads - 1, "1 uploads; 2 leases"},
		"uploads, too long": {with(func(l *Leaving) { l.Uploads, l.Leases = 1, 2 }), LeavingUploads, ""},
		"nobody else":       {with(func(l *Leaving) { l.Target = false }), time.Hour, "no other replica is in service"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(tt.WaitsFor(began.Add(tt.after)), "; "); got != tt.want {
				t.Errorf("it waits for %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOnlyAt(t *testing.T) {
	leftOut := func(repository string) bool { return repository == "secret" }
	fleet := func(change func(west *Replica)) Fleet {
		f := Fleet{Replicas: []Replica{
			{Name: "east", Up: true, Writable: true, Leaving: true},
			{Name: "north", Up: true, Offline: true, Writable: true},
			{Name: "west", Up: true, Writable: true, LeftOut: leftOut},
		}}
		if change != nil {
			change(&f.Replicas[2])
		}
		return f
	}
	entry := func(repository string, confirmed ...string) ledger.Entry {
		return ledger.Entry{Reference: ledger.Reference{Repository: repository, Name: "v1"}, Confirmed: confirmed}
	}
	deleted := entry("app", "east")
	deleted.Deleted = true
	for name, tt := range map[string]struct {
		ledger.Entry
		west        func(*Replica)
		only, taken bool
	}{
		"there alone":             {entry("app", "east"), nil, true, true},
		"elsewhere, too":          {entry("app", "east", "west"), nil, false, false},
		"elsewhere, but offline":  {entry("app", "east", "north"), nil, true, true},
		"not there":               {entry("app", "north"), nil, false, false},
		"deleted":                 {deleted, nil, false, false},
		"kept from all others":    {entry("secret", "east"), nil, true, false},
		"others take nothing":     {entry("app", "east"), func(r *Replica) { r.Writable = false }, true, false},
		"another one leaves, too": {entry("app", "east", "west"), func(r *Replica) { r.Leaving = true }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if only, taken := fleet(tt.west).OnlyAt(tt.Entry, "east"); only != tt.only || taken != tt.taken {
				t.Errorf("only there: %v, taken: %v; want %v, %v", only, taken, tt.only, tt.taken)
			}
		})
	}
	shared := fleet(func(r *Replica) { r.Storage = "s3" })
	shared.Replicas[0].Storage = "s3"
	if only, _ := shared.OnlyAt(entry("app", "east"), "east"); only {
		t.Error("what is in the storage of another one is only there")
	}
	if got := plan([]ledger.Entry{entry("app", "west")}, "east", Fleet{Replicas: fleet(nil).Replicas,
		Assigned: []string{"east"}}); len(got) > 0 {
		t.Errorf("something is copied to a replica that leaves: %v", got)
	}
}
