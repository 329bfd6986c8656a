package replication

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

func copyOf(d string, at int64) Task {
	return Task{Action: Copy, Target: "a", Repository: "app", Digest: d, Entries: []ledger.Entry{digest(d, at, "b")},
		Sources: []string{"b"}}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		tries  int
		random float64
		want   time.Duration
	}{
		{1, 1, time.Second}, {1, 0, 500 * time.Millisecond}, {4, 1, 8 * time.Second}, {9, 1, 256 * time.Second},
		{10, 1, mostPause}, {1000, 1, mostPause}, {1000, 0, mostPause / 2},
	} {
		if got := pauses.Wait(c.tries, c.random); got != c.want {
			t.Errorf("%d: %v", c.tries, got)
		}
	}
}

func TestFailures(t *testing.T) {
	f, now, failure := failures{}, time.Unix(1000, 0), errors.New("broken")
	task := copyOf("d:1", 5)
	due := func(now time.Time) int { tasks, _ := f.due(now); return len(tasks) }
	if f.blocks(task, now) {
		t.Error("blocked before anything failed")
	}
	for n := range maxTries {
		f.note(task, failure, false, now)
		if last := n == maxTries-1; f[task.key()].GivenUp != last || !f.blocks(task, now) {
			t.Errorf("%d: %+v", n, f[task.key()])
		}
		if now = now.Add(mostPause); f.blocks(task, now) != (n == maxTries-1) || due(now) != 1 && n < maxTries-1 {
			t.Errorf("%d: %+v after its pause", n, f[task.key()])
		}
	}
	if due(now) != 0 {
		t.Error("what was given up is tried again")
	}
	if !f.blocks(copyOf("d:1", 5), now) || f.blocks(copyOf("d:2", 5), now) {
		t.Error("the wrong one is blocked")
	}
	if f.blocks(copyOf("d:1", 6), now) || len(f) != 0 {
		t.Error("something newer does not begin anew")
	}
	f.note(task, failure, false, now)
	more := copyOf("d:1", 5)
	more.Entries = append(more.Entries, tag("v1", "d:1", 5, "b"))
	if !f.mergeIfBlocked(more, now) || len(f[task.key()].Task.Entries) != 2 || len(task.Entries) != 1 {
		t.Errorf("the tag is not done with its digest: %+v", f[task.key()])
	}
	f.note(task, failure, true, now)
	if !f[task.key()].GivenUp {
		t.Error("what cannot be done is tried again")
	}
	for n := range 2 * maxFailures {
		f.note(copyOf(fmt.Sprintf("e:%d", n), 1), failure, false, now)
	}
	if len(f) != maxFailures {
		t.Errorf("%d failures", len(f))
	}
}

// TestTriedAgain: for half an hour or so, then when somebody says so, and no longer than anybody needs it.
func TestTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeLedger()
		b.push("v1", sum(nil), "a")
		e := newInBubble(t, b)
		began := time.Now()
		e.until(func(list []Failure) bool { return len(list) == 1 && list[0].GivenUp })
		if took := time.Since(began); took < 30*time.Minute || took > 65*time.Minute || e.asked.Load() != maxTries {
			t.Errorf("%d tries in %v", e.asked.Load(), took)
		}
		f := e.Failures()[0]
		if f.Tries != maxTries || !strings.Contains(f.Reason, "unplugged") || e.Progress()[0].GivenUp != 1 ||
			e.Progress()[0].State != Syncing {
			t.Errorf("%+v, %+v", f, e.Progress())
		}
		time.Sleep(24 * time.Hour)
		if e.asked.Load() != maxTries {
			t.Error("what was given up is tried again")
		}
		if e.Retry(func(Failure) bool { return false }) != 0 || e.Retry(func(Failure) bool { return true }) != 1 {
			t.Error("not what was to be tried again")
		}
		e.until(func(list []Failure) bool { return len(list) == 1 && list[0].Tries == 1 })
		// Somebody else has done it.
		b.mu.Lock()
		b.entries = map[ledger.Reference]ledger.Entry{}
		b.mu.Unlock()
		e.until(func(list []Failure) bool { return len(list) == 0 })
	})
}

func TestFailuresOf(t *testing.T) {
	f, now, failure := failures{}, time.Unix(1000, 0), errors.New("broken")
	pushed := tag("v1", "d:1", 5, "b")
	gone := deleted(tag("v2", "d:2", 6, "b"))
	f.note(copyOf("d:1", 5), failure, false, now)
	f.note(Task{Action: Delete, Target: "a", Repository: "app", Digest: "d:2", Entries: []ledger.Entry{gone}}, failure,
		true, now)
	for _, c := range []struct {
		name  string
		entry ledger.Entry
		want  bool
	}{
		{"a tag, by its digest", pushed, true}, {"the digest", digest("d:1", 5, "b"), true},
		{"another", digest("d:3", 5, "b"), false},
		{"a deletion", gone, true}, {"of what was not deleted", tag("v2", "d:2", 6, "b"), false},
		{"another deletion", deleted(tag("v3", "d:2", 6, "b")), false},
	} {
		if found, ok := f.of(c.entry, "a"); ok != c.want {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}
