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
	return Task{Action: Copy, Target: "a", Repository: "app", Digest: d, Entries: []ledger.Entry{digest(d, at, "b")}, Sources: []string{"b"}}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		tries  int
		random float64
		want   time.Duration
	}{{1, 0, time.Second}, {1, 1, 500 * time.Millisecond}, {4, 0, 8 * time.Second}, {9, 0, 256 * time.Second}, {10, 0, mostPause}, {1000, 0, mostPause}, {1000, 1, mostPause / 2}} {
		if got := backoff(c.tries, c.random); got != c.want {
			t.Errorf("%d: %v", c.tries, got)
		}
	}
}

func TestLetters(t *testing.T) {
	l, now, failure := letters{}, time.Unix(1000, 0), errors.New("broken")
	task := copyOf("d:1", 5)
	due := func(now time.Time) int { tasks, _ := l.due(now); return len(tasks) }
	if l.blocks(task, now) {
		t.Error("blocked before anything failed")
	}
	for n := range maxTries {
		l.failed(task, failure, false, now)
		if dead := n == maxTries-1; l[task.key()].Dead != dead || !l.blocks(task, now) {
			t.Errorf("%d: %+v", n, l[task.key()])
		}
		if now = now.Add(mostPause); l.blocks(task, now) != (n == maxTries-1) || due(now) != 1 && n < maxTries-1 {
			t.Errorf("%d: %+v after its pause", n, l[task.key()])
		}
	}
	if due(now) != 0 {
		t.Error("the dead are tried again")
	}
	if !l.blocks(copyOf("d:1", 5), now) || l.blocks(copyOf("d:2", 5), now) {
		t.Error("the wrong one is blocked")
	}
	if l.blocks(copyOf("d:1", 6), now) || len(l) != 0 {
		t.Error("something newer does not begin anew")
	}
	l.failed(task, failure, false, now)
	more := copyOf("d:1", 5)
	more.Entries = append(more.Entries, tag("v1", "d:1", 5, "b"))
	if !l.keeps(more, now) || len(l[task.key()].Task.Entries) != 2 || len(task.Entries) != 1 {
		t.Errorf("the tag is not done with its digest: %+v", l[task.key()])
	}
	l.failed(task, failure, true, now)
	if !l[task.key()].Dead {
		t.Error("what cannot be done is tried again")
	}
	for n := range 2 * maxLetters {
		l.failed(copyOf(fmt.Sprintf("e:%d", n), 1), failure, false, now)
	}
	if len(l) != maxLetters {
		t.Errorf("%d letters", len(l))
	}
}

// TestTriedAgain: for half an hour or so, then when somebody says so, and no longer than anybody needs it.
func TestTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		b.push("v1", sum(nil), "a")
		e := newInBubble(t, b)
		began := time.Now()
		e.until(func(l []Letter) bool { return len(l) == 1 && l[0].Dead })
		if took := time.Since(began); took < 30*time.Minute || took > 65*time.Minute || e.asked.Load() != maxTries {
			t.Errorf("%d tries in %v", e.asked.Load(), took)
		}
		l := e.Letters()[0]
		if l.Tries != maxTries || !strings.Contains(l.Reason, "unplugged") || e.Progress()[0].Dead != 1 || e.Progress()[0].State != Syncing {
			t.Errorf("%+v, %+v", l, e.Progress())
		}
		time.Sleep(24 * time.Hour)
		if e.asked.Load() != maxTries {
			t.Error("the dead are tried again")
		}
		if e.Retry(func(Letter) bool { return false }) != 0 || e.Retry(func(Letter) bool { return true }) != 1 {
			t.Error("not what was to be tried again")
		}
		e.until(func(l []Letter) bool { return len(l) == 1 && l[0].Tries == 1 })
		// Somebody else has done it.
		b.mu.Lock()
		b.entries = map[ledger.Reference]ledger.Entry{}
		b.mu.Unlock()
		e.until(func(l []Letter) bool { return len(l) == 0 })
	})
}

func TestLettersOf(t *testing.T) {
	l, now, failure := letters{}, time.Unix(1000, 0), errors.New("broken")
	pushed := tag("v1", "d:1", 5, "b")
	gone := deleted(tag("v2", "d:2", 6, "b"))
	l.failed(copyOf("d:1", 5), failure, false, now)
	l.failed(Task{Action: Delete, Target: "a", Repository: "app", Digest: "d:2", Entries: []ledger.Entry{gone}}, failure, true, now)
	for _, c := range []struct {
		name  string
		entry ledger.Entry
		want  bool
	}{
		{"a tag, by its digest", pushed, true}, {"the digest", digest("d:1", 5, "b"), true}, {"another", digest("d:3", 5, "b"), false},
		{"a deletion", gone, true}, {"of what was not deleted", tag("v2", "d:2", 6, "b"), false}, {"another deletion", deleted(tag("v3", "d:2", 6, "b")), false},
	} {
		if found, ok := l.about(c.entry, "a"); ok != c.want {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}
