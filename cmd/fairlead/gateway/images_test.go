package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/replication"
)

func TestPlacesOf(t *testing.T) {
	entry := func(deleted bool, confirmed ...string) ledger.Entry {
		return ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: "v1"}, Digest: "d:1", Deleted: deleted,
			Confirmed: confirmed}
	}
	two := func(change func(a, b *replication.Replica)) replication.Fleet {
		f := replication.Fleet{Replicas: []replication.Replica{{Name: "a", Up: true, Writable: true},
			{Name: "b", Up: true, Writable: true}}}
		change(&f.Replicas[0], &f.Replicas[1])
		return f
	}
	steady := func(_, _ *replication.Replica) {}
	leftOut := func(_, b *replication.Replica) { b.LeftOut = func(s string) bool { return s == "app" } }
	failed := map[string]replication.Failure{"b": {Reason: "full", Tries: 3, GivenUp: true}}
	for _, c := range []struct {
		name     string
		entry    ledger.Entry
		change   func(a, b *replication.Replica)
		failures map[string]replication.Failure
		want     string // of b, after a's
	}{
		{"everywhere", entry(false, "a", "b"), steady, nil, "there there"},
		{"on its way", entry(false, "a"), steady, nil, "there pending"},
		{"failed", entry(false, "a"), steady, failed, "there failed: full (3 tries, given up)"},
		{"failed once, and there all the same", entry(false, "a", "b"), steady, failed, "there there"},
		{"left out", entry(false, "a"), leftOut, nil, "there left_out"},
		{"left out, and there all the same", entry(false, "a", "b"), leftOut, nil, "there there"},
		{"a deletion goes everywhere", entry(true, "a"), leftOut, nil, "there pending"},
		{"down", entry(false, "a"), func(_, b *replication.Replica) { b.Up = false }, nil, "there pending: it is down"},
		{"failed, and down since", entry(false, "a"), func(_, b *replication.Replica) { b.Up = false },
			map[string]replication.Failure{"b": {Reason: "broken", Tries: 2}}, "there failed: broken (2 tries)"},
		{"the source is down", entry(false, "a"), func(a, _ *replication.Replica) { a.Up = false }, nil,
			"there pending: no replica that has it can be reached"},
		{"the source is offline", entry(false, "a"), func(a, _ *replication.Replica) { a.Offline = true }, nil,
			"there pending: no replica that has it can be reached"},
		{"offline", entry(false, "a"), func(_, b *replication.Replica) { b.Offline = true }, nil, "there offline"},
		{"read-only", entry(false, "a"), func(_, b *replication.Replica) { b.Writable = false }, nil,
			"there read_only"},
		{"one storage", entry(false, "a"), func(a, b *replication.Replica) {
			a.Storage, b.Storage, b.Writable = "s",
				"s", false
		}, nil, "there there"},
		{"another storage", entry(false, "a"), func(a, b *replication.Replica) { a.Storage, b.Storage = "s", "t" }, nil,
			"there pending"},
	} {
		var got []string
		for _, p := range placesOf(c.entry, two(c.change), c.failures) {
			text := string(p.State)
			if p.Reason != "" {
				text += ": " + p.Reason
			}
			switch {
			case p.GivenUp:
				text += fmt.Sprintf(" (%d tries, given up)", p.Tries)
			case p.Tries > 0:
				text += fmt.Sprintf(" (%d tries)", p.Tries)
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestFailureOf(t *testing.T) {
	at := time.Unix(1000, 0)
	entries := []ledger.Entry{
		{Reference: ledger.Reference{Repository: "app", Name: "d:1"}, Digest: "d:1"},
		{Reference: ledger.Reference{Repository: "app", Name: "v1"}, Digest: "d:1"},
	}
	f := replication.Failure{Task: replication.Task{Action: replication.Copy, Target: "a", Repository: "app",
		Digest: "d:1", Entries: entries}, Tries: 2, Next: at, Reason: "full"}
	got := failureOf(f)
	if fmt.Sprint(got.Tags) != "[v1]" || !got.Next.Equal(at) || got.Replica != "a" || got.Action != "copy" {
		t.Errorf("%+v", got)
	}
	if f.GivenUp = true; !failureOf(f).Next.IsZero() {
		t.Error("the dead are not tried again")
	}
	for _, c := range []struct {
		replica, repository, reference string
		want                           bool
	}{
		{"", "", "", true}, {"a", "", "", true}, {"b", "", "", false}, {"", "app", "v1", true},
		{"", "app", "d:1", true}, {"", "app", "v2", false},
		{"", "other", "v1", false}, {"a", "app", "v1", true},
	} {
		if isAbout(got, c.replica, c.repository, c.reference) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
