package replication

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
	"pgregory.net/rapid"
)

func whatever(Task) bool { return true }

func TestQueue(t *testing.T) {
	var q queue
	for _, d := range []string{"d:3", "d:1", "d:2"} {
		q.push(copyOf(d, int64(d[2])), told)
	}
	q.push(copyOf("d:0", 0), retried)
	if got, _ := q.take(told, func(t Task) bool { return t.Digest != "d:1" }); got.Digest != "d:2" || q.has(got.key()) {
		t.Error("not the first that fits", got)
	}
	if got, _ := q.take(retried, whatever); got.Digest != "d:0" {
		t.Error("not the retry", got)
	}
	if got, _ := q.take(told, whatever); got.Digest != "d:1" || q.len() != 1 {
		t.Error("what did not fit is not there any more", got)
	}
	if _, ok := q.take(retried, whatever); ok {
		t.Error("a first try for a retry")
	}
	for n := range maxQueue {
		if q.push(copyOf(fmt.Sprint("e:", n), 1), told) != (n < maxQueue-1) {
			t.Fatalf("%d: no bound, or no room", n)
		}
	}
	if !q.push(copyOf("d:3", 9), told) || q.len() != maxQueue {
		t.Error("what is there needs no room")
	}
}

// TestQueueMerges: what is of one key is one task, and something newer makes a retry a first try.
func TestQueueMerges(t *testing.T) {
	var q queue
	q.push(copyOf("d:1", 1), retried)
	for _, e := range []ledger.Entry{tag("v2", "d:1", 3, "b"), tag("v1", "d:1", 2, "b"), tag("v2", "d:1", 4, "b"),
		tag("v1", "d:1", 1, "b")} {
		q.push(Task{Action: Copy, Target: "a", Repository: "app", Digest: "d:1", Entries: []ledger.Entry{e},
			Sources: []string{"c"}}, told)
	}
	if _, ok := q.take(retried, whatever); ok {
		t.Error("it is still a retry")
	}
	got, _ := q.take(told, whatever)
	if s := got.String(); s != "copy d:1+v1+v2 from c,b" || got.stamp().WallMS != 4 || q.len() != 0 {
		t.Error(s, got)
	}
}

// TestQueueOrder: whatever is put, each key comes out once, and in order.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		keys := map[taskKey]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "tasks") {
			task := copyOf(fmt.Sprint("d:", rapid.IntRange(0, 9).Draw(t, "digest")),
				rapid.Int64Range(0, 9).Draw(t, "at"))
			if rapid.Bool().Draw(t, "tagged") {
				task.Entries[0].Name = rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "tag")
			}
			q.push(task, rapid.SampledFrom([]origin{told, found, retried}).Draw(t, "from"))
			keys[task.key()] = true
		}
		for from := range origins {
			var out []Task
			for {
				task, ok := q.take(from, whatever)
				if !ok {
					break
				}
				if !keys[task.key()] {
					t.Fatalf("twice: %v", task)
				}
				delete(keys, task.key())
				out = append(out, task)
			}
			if !slices.IsSortedFunc(out, compareTasks) {
				t.Fatalf("out of order: %v", out)
			}
		}
		if len(keys) != 0 || q.len() != 0 {
			t.Fatalf("left: %v", keys)
		}
	})
}
