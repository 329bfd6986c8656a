package webhook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// TestFullQueue: the oldest of the longest queue goes, is counted, and listed.
func TestFullQueue(t *testing.T) {
	app, lib := named("hookapp", "http://a"), named("hooklib", "http://b")
	app.Scope, lib.Scope = "app:*", "lib:*"
	s := openSite(t, setup{inFile: []subscription.Subscription{app, lib}, maxPending: 5, maxLogged: 100})
	s.publish(t, "a1", "a2", "a3", "a4")
	for _, id := range []string{"l1", "l2", "l3"} {
		e := image(id)
		e.Target.Repository = "lib"
		if err := s.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.states(t, "hookapp"); got != "a4 pending 0, a3 pending 0, a2 dropped 0, a1 dropped 0" {
		t.Error(got)
	}
	if got := s.states(t, "hooklib"); got != "l3 pending 0, l2 pending 0, l1 pending 0" {
		t.Error(got)
	}
	if s.store.pending() != 5 || s.endedAs(Dropped) != 2 {
		t.Errorf("%d pending, %v dropped", s.store.pending(), s.endedAs(Dropped))
	}
}

// TestLogIsBounded, and so is what is remembered of events.
func TestLogIsBounded(t *testing.T) {
	box, url := listen(t, fine)
	s := openSite(t, setup{inFile: []subscription.Subscription{receiver(url)}, maxPending: 100, maxLogged: 3})
	s.run(t)
	for i := range 6 {
		s.publish(t, fmt.Sprint("e", i))
		poll(t, "delivered", func() bool {
			return strings.HasPrefix(s.states(t, "hook1"),
				fmt.Sprintf("e%d delivered", i))
		})
	}
	if got := s.states(t, "hook1"); got != "e5 delivered 1, e4 delivered 1, e3 delivered 1" {
		t.Error(got)
	}
	s.publish(t, "e3", "e4", "e5")
	if s.store.pending() != 0 {
		t.Error("an event that is in the log was queued again")
	}
	s.publish(t, "e0")
	poll(t, "what is forgotten is new", func() bool { return box.ids()["e0"] == 2 })
}

func TestPublishedTwice(t *testing.T) {
	s := openSite(t, setup{inFile: []subscription.Subscription{receiver("http://a"), named("hook2", "http://b")}})
	s.publish(t, "e1", "e1", "e1")
	for _, name := range []string{"hook1", "hook2"} {
		if got := s.states(t, name); got != "e1 pending 0" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if err := s.Publish(Event{}); err == nil {
		t.Error("an event without anything was taken")
	}
}

// TestQueueProperty: whatever happens, each event is pending or in the log once, in the order of what is due if it is
// pending, and remembered as long; the count is right and the bounds hold.
func TestQueueProperty(t *testing.T) {
	const pendingBound, loggedBound = 6, 4
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		s, err := openStore(fmt.Sprintf("%s/%d", dir, runs), pendingBound, loggedBound)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		s.db.NoSync = true
		keys := []string{"one", "two"}
		if err := s.reconcileQueues(keys, func(string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		ended := map[string]int{}
		published := map[string]int{}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				to := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 2, rapid.ID[string]).Draw(t, "to")
				id := fmt.Sprint(len(published))
				published[id] = len(to)
				gone, err := s.publish(to, Delivery{ID: id, State: Pending, Next: now,
					Request: RequestMessage{Content: json.RawMessage("{}")}})
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range gone {
					ended[g.key]++
				}
			},
			"attempt": func(t *rapid.T) {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				list, _, err := s.due(key, now, 1, nil)
				if err != nil || len(list) == 0 {
					t.Skip(err)
				}
				d := list[0]
				d.State, d.Next = rapid.SampledFrom([]State{Pending, Delivered, Dead}).Draw(t, "state"), time.Time{}
				if d.State == Pending {
					d.Next = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "wait")))
				} else {
					ended[key]++
				}
				if there, err := s.attempted(key, d); !there || err != nil {
					t.Fatal(there, err)
				}
			},
			"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "by"))) },
			"": func(t *rapid.T) {
				_ = s.db.View(func(tx *bolt.Tx) error {
					for _, key := range keys {
						checkQueue(t, queueOf(tx, key), min(ended[key], loggedBound))
					}
					if sum := countOf(queueOf(tx, "one").root) + countOf(queueOf(tx,
						"two").root); countOf(tx.Bucket(bucketTotal)) != sum {
						t.Fatalf("in all %d, not %d", countOf(tx.Bucket(bucketTotal)), sum)
					}
					return nil
				})
				if n := s.pending(); n > pendingBound {
					t.Fatalf("%d pending", n)
				}
			},
		})
	})
}

func checkQueue(t *rapid.T, q *queue, ended int) {
	ids := map[string]bool{}
	count := 0
	_ = q.pending.ForEach(func(n, value []byte) error {
		var d Delivery
		if err := json.Unmarshal(value, &d); err != nil || d.State != Pending {
			t.Fatalf("%s: %v", value, err)
		}
		if at := append(numberKey(uint64(d.Next.UnixNano())), n...); q.due.Get(at) == nil {
			t.Fatalf("%s is not in the order of what is due", d.ID)
		}
		ids[d.ID] = true
		count++
		return nil
	})
	if due := q.due.Stats().KeyN; due != count || countOf(q.root) != int64(count) {
		t.Fatalf("%d pending, %d due, counted %d", count, due, countOf(q.root))
	}
	_ = q.ended.ForEach(func(_, value []byte) error {
		var d Delivery
		if err := json.Unmarshal(value, &d); err != nil || d.State == Pending || ids[d.ID] {
			t.Fatalf("%s: %v", value, err)
		}
		ids[d.ID] = true
		return nil
	})
	if n := q.ended.Stats().KeyN; n != ended {
		t.Fatalf("%d in the log, not %d", n, ended)
	}
	if n := q.ids.Stats().KeyN; n != len(ids) {
		t.Fatalf("%d remembered, not %d", n, len(ids))
	}
	for id := range ids {
		if !q.knows(id) {
			t.Fatalf("%s is not remembered", id)
		}
	}
}
