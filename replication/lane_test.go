package replication

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func laneOf(first, retries int, now time.Time) *lane {
	l := newLane("a")
	for n := range retries {
		task := copyOf(fmt.Sprint("old:", n), int64(n))
		l.letters.failed(task, errors.New("broken"), false, now.Add(-time.Hour))
		l.put(task, now)
	}
	for n := range first {
		l.put(copyOf(fmt.Sprint("new:", n), int64(1000+n)), now)
	}
	return l
}

// TestTurns: neither first tries nor retries keep the others away.
func TestTurns(t *testing.T) {
	now := time.Unix(10_000, 0)
	for _, c := range []struct {
		name                 string
		first, retries, most int
		want                 []int // of the ones that run at a time, how many are retries
	}{
		{"retries leave half of the room", 0, 9, 4, []int{1, 2}},
		{"first tries take what is left", 9, 9, 4, []int{1, 1, 2, 2}},
		{"first tries have all of it, where nothing has failed", 9, 0, 4, []int{0, 0, 0, 0}},
	} {
		l, got := laneOf(c.first, c.retries, now), []int{}
		for {
			task, ok := l.next(c.most, now)
			if !ok {
				break
			}
			l.begin(task)
			got = append(got, l.retrying())
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	l, turns := laneOf(2, 2, now), ""
	for task, ok := l.next(1, now); ok; task, ok = l.next(1, now) {
		l.begin(task)
		turns += task.Digest + " "
		l.end(task)
	}
	if turns != "old:0 new:0 old:1 new:1 " {
		t.Error(turns)
	}
}

// TestInTheWay: of one name there is one write at a time.
func TestInTheWay(t *testing.T) {
	l := newLane("a")
	task := copyOf("d:1", 1)
	task.Entries = append(task.Entries, tag("v1", "d:1", 2, "b"))
	other := Task{Action: Copy, Target: "a", Repository: "app", Digest: "d:2", Entries: []Entry{tag("v1", "d:2", 3, "b")}}
	l.begin(task)
	if !l.inTheWay(task) || !l.inTheWay(other) || l.inTheWay(copyOf("d:2", 3)) {
		t.Error("not what is in the way")
	}
	l.end(task)
	if l.inTheWay(task) || l.inTheWay(other) {
		t.Error("still in the way")
	}
}

func TestOverdue(t *testing.T) {
	now := time.Unix(10_000, 0)
	for _, c := range []struct {
		since time.Duration
		dirty bool
		want  bool
	}{{tick, false, false}, {tick, true, true}, {tick - 1, true, false}, {idleTick, false, true}} {
		l := &lane{scan: now, dirty: c.dirty}
		if got := l.overdue(now.Add(c.since)); got != c.want {
			t.Errorf("%+v", c)
		}
	}
}
