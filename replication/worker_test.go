package replication

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

func workerWith(first, retries int, now time.Time) *worker {
	w := newWorker("a")
	for n := range retries {
		task := copyOf(fmt.Sprint("old:", n), int64(n))
		w.failures.note(task, errors.New("broken"), false, now.Add(-time.Hour))
		w.enqueue(task, told, now)
	}
	for n := range first {
		w.enqueue(copyOf(fmt.Sprint("new:", n), int64(1000+n)), found, now)
	}
	return w
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
		{"first tries take what is left", 9, 9, 4, []int{0, 1, 1, 2}},
		{"first tries have all of it, where nothing has failed", 9, 0, 4, []int{0, 0, 0, 0}},
	} {
		w, got := workerWith(c.first, c.retries, now), []int{}
		for {
			task, ok := w.next(c.most, now)
			if !ok {
				break
			}
			w.begin(task)
			got = append(got, w.countRetries())
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	w, turns := workerWith(2, 2, now), ""
	w.enqueue(copyOf("told:0", 9999), told, now)
	for task, ok := w.next(1, now); ok; task, ok = w.next(1, now) {
		w.begin(task)
		turns += task.Digest + " "
		w.end(task)
	}
	if turns != "new:0 old:0 told:0 new:1 old:1 " {
		t.Error(turns)
	}
}

// TestConflicts: of one name there is one write at a time.
func TestConflicts(t *testing.T) {
	w := newWorker("a")
	task := copyOf("d:1", 1)
	task.Entries = append(task.Entries, tag("v1", "d:1", 2, "b"))
	other := Task{Action: Copy, Target: "a", Repository: "app", Digest: "d:2",
		Entries: []ledger.Entry{tag("v1", "d:2", 3, "b")}}
	w.begin(task)
	if !w.conflicts(task) || !w.conflicts(other) || w.conflicts(copyOf("d:2", 3)) {
		t.Error("not what conflicts")
	}
	w.end(task)
	if w.conflicts(task) || w.conflicts(other) {
		t.Error("it still conflicts")
	}
}

// TestSupersedes: what is told of while its digest is being copied is not forgotten, even if it was written at the same
// time.
func TestSupersedes(t *testing.T) {
	for _, c := range []struct {
		name          string
		running, told []ledger.Entry
		waits         bool
	}{
		{"the same", []ledger.Entry{digest("d:1", 5, "b"), tag("v1", "d:1", 5, "b")},
			[]ledger.Entry{digest("d:1", 5, "b"), tag("v1", "d:1", 5, "b")}, false},
		{"some of it", []ledger.Entry{digest("d:1", 5, "b"), tag("v1", "d:1", 5, "b")},
			[]ledger.Entry{tag("v1", "d:1", 5, "b")}, false},
		{"an earlier copy of it", []ledger.Entry{tag("v1", "d:1", 5, "b")}, []ledger.Entry{tag("v1", "d:1", 4, "b")},
			false},
		{"its tag, of the same push", []ledger.Entry{digest("d:1", 5, "b")}, []ledger.Entry{tag("v1", "d:1", 5, "b")},
			true},
		{"another tag, pushed before", []ledger.Entry{tag("v2", "d:1", 5, "b")},
			[]ledger.Entry{tag("v1", "d:1", 4, "b")},
			true},
		{"it was pushed again", []ledger.Entry{tag("v1", "d:1", 5, "b")}, []ledger.Entry{tag("v1", "d:1", 6, "b")},
			true},
	} {
		w, now := newWorker("a"), time.Unix(10_000, 0)
		task := func(entries []ledger.Entry) Task {
			return Task{Action: Copy, Target: "a", Repository: "app", Digest: "d:1", Entries: entries,
				Sources: []string{"b"}}
		}
		w.begin(task(c.running))
		w.enqueue(task(c.told), told, now)
		if _, ok := w.next(9, now); ok {
			t.Errorf("%s: two at once", c.name)
		}
		w.end(task(c.running))
		if _, ok := w.next(9, now); ok != c.waits {
			t.Errorf("%s: done after it: %v", c.name, ok)
		}
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(10_000, 0)
	refused := &transfer.Error{Replica: "a", Status: http.StatusUnauthorized}
	for _, c := range []struct {
		name  string
		err   error
		times int
		want  int // room
	}{
		{"refused now and then", refused, breakAfter - 1, 4},
		{"refused", refused, breakAfter, 0},
		{"not reached", &transfer.Error{Replica: "a", Err: errors.New("unplugged")}, breakAfter, 0},
		{"broken", &transfer.Error{Replica: "a", Status: http.StatusInternalServerError}, 100, 4},
		{"refused for one repository", fmt.Errorf("%w: %w", refused, errLetIn), 100, 4},
		{"refused by a source", &transfer.Error{Replica: "b", Status: http.StatusUnauthorized}, 100, 4},
		{"too many failures", errors.New("broken"), maxFailures + 1, 0},
	} {
		w := newWorker("a")
		for n := range c.times {
			w.noteFailure(copyOf(fmt.Sprint("d:", n), 1), c.err, now, 0)
		}
		if got := w.breaker.limit(4, now); got != c.want {
			t.Errorf("%s: room for %d", c.name, got)
		}
		if got := w.breaker.limit(4, now.Add(mostPause)); c.want == 0 && got != 1 {
			t.Errorf("%s: room for %d after a while", c.name, got)
		}
	}
}

// TestNotGivenUpWhileBreakerIsOpen: what a new password repairs is never given up; what is refused for its repository
// alone becomes one.
func TestNotGivenUpWhileBreakerIsOpen(t *testing.T) {
	refused := error(&transfer.Error{Replica: "a", Status: http.StatusForbidden})
	for err, want := range map[error]bool{refused: false, fmt.Errorf("%w: %w", refused, errLetIn): true} {
		w, now := newWorker("a"), time.Unix(10_000, 0)
		w.breaker.failures = breakAfter
		for range maxTries {
			w.noteFailure(copyOf("d:1", 1), err, now, 0)
		}
		if got := w.failures.countGivenUp() == 1; got != want {
			t.Errorf("%v: given up: %v", err, got)
		}
	}
}

// TestHalfOpenElsewhere: after a pause another repository is tried, if there is one.
func TestHalfOpenElsewhere(t *testing.T) {
	now := time.Unix(10_000, 0)
	w := workerWith(1, 0, now)
	other := copyOf("d:1", 9999)
	other.Repository, other.Entries[0].Repository = "other", "other"
	w.enqueue(other, found, now)
	for range 2 * breakAfter {
		w.breaker.noteFailure("app", true, now, 0)
	}
	if _, ok := w.next(4, now); ok {
		t.Error("something begins during the pause")
	}
	later := w.breaker.until
	for i, want := range []string{"other", "app"} {
		got, ok := w.next(1+3*i, later)
		if !ok || got.Repository != want {
			t.Errorf("%s, not %s", got.Repository, want)
		}
		w.begin(got)
		if _, ok := w.next(4, later); ok {
			t.Error("more than one")
		}
		w.end(got)
	}
}

func TestOverdue(t *testing.T) {
	now := time.Unix(10_000, 0)
	for _, c := range []struct {
		since time.Duration
		dirty bool
		want  bool
	}{{tick, false, false}, {tick, true, true}, {tick - 1, true, false}, {idleTick, false, true}} {
		w := &worker{lastScan: now, dirty: c.dirty}
		if got := w.scanOverdue(now.Add(c.since)); got != c.want {
			t.Errorf("%+v", c)
		}
	}
}

// during does something while the ledger is read.
type during struct {
	*fakeLedger
	do func()
}

func (d during) Pending(replica string, after ledger.Cursor, limit int) ([]ledger.Entry, ledger.Cursor, error) {
	page, _, err := d.fakeLedger.Pending(replica, "", limit)
	if after == "" {
		return page, "more", err
	}
	d.do()
	return nil, "", err
}

// TestEndsDuringAScan: what the scan took for under way, and then failed without being noted, is found within a minute.
func TestEndsDuringAScan(t *testing.T) {
	x := newRegion(t)
	x.push("v1", x.at["a"].image("v1", "layer"), "a")
	now, fleet := time.Now(), *x.fleet.Load()
	w := x.worker("b")
	page, _, _ := x.Pending("b", "", 100)
	repair := plan(page, "b", fleet)[0]
	w.begin(repair)
	x.Ledger = during{x.fakeLedger, func() {
		x.Engine.mu.Lock()
		defer x.Engine.mu.Unlock()
		x.endTask(w, repair)
	}}
	x.scan(w, fleet, now)
	if w.queue.len() == 0 && !w.scanOverdue(now.Add(tick)) {
		t.Error("it waits for the next scan but one")
	}
}
