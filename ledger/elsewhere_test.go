package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"
)

// three are the ledgers of three gateways that know each other.
func three(t *testing.T, n *net) (all map[string]*Ledger) {
	t.Helper()
	n.of, n.cut, n.full = map[string]*Gossip{}, map[string]bool{}, map[string]bool{}
	all = map[string]*Ledger{}
	members := []string{"gw1", "gw2", "gw3"}
	for _, name := range members {
		all[name] = n.join(t, t.Context(), name, members)
	}
	for _, name := range members {
		n.of[name].recordBound, n.of[name].patience = time.Minute, time.Minute // the machine may be busy
	}
	return all
}

// changes is how many changes a member made.
func (n *net) changes(t *testing.T, member string) uint64 {
	t.Helper()
	count, err := n.of[member].last()
	must(t, err)
	return count
}

// TestElsewhere: each write is recorded once, by one other member, and comes to all, whatever packets are lost.
func TestElsewhere(t *testing.T) {
	for _, lose := range []int{0, 50} {
		n := &net{lose: lose}
		all := three(t, n)
		v1, image, standIn := tag("v1"), digest(1), digest(2)
		for i, w := range []Write{
			{Act: ActPush, Reference: v1, Content: Content{Digest: image, MediaType: mediaType, Size: 1},
				Replica: "east", By: Request{Method: "PUT"}},
			{Act: ActUntag, Reference: v1, StandIn: standIn, Replica: "east"},
			{Act: ActDelete, Reference: tag(image), Replica: "east"},
		} {
			before := n.changes(t, "gw2") + n.changes(t, "gw3")
			must(t, n.of["gw1"].Elsewhere(t.Context(), w))
			after := n.changes(t, "gw2") + n.changes(t, "gw3")
			here, concluded := n.changes(t, "gw1"), uint64(0)
			if lose > 0 && w.Act == ActDelete {
				concluded = 1 // who missed the untag concludes it from the deletion
			}
			if wrote := map[Act]uint64{ActPush: 2, ActUntag: 2, ActDelete: 1}[w.Act]; after-before != wrote ||
				here > concluded {
				t.Errorf("%d of a hundred packets lost, write %d: %d changes, want %d; %d here", lose, i, after-before,
					wrote, here)
			}
		}
		// All that can learn of a deletion have when it counts as recorded.
		for _, name := range []string{"gw2", "gw3"} {
			if e := get(t, all[name], tag(image)); !e.Deleted {
				t.Errorf("of the image %s knows %+v", name, e)
			}
			if e := get(t, all[name], v1); !e.Deleted || e.Replica != "east" {
				t.Errorf("of the tag %s knows %+v", name, e)
			}
		}
		if len(n.of["gw1"].requests) != 0 {
			t.Error("still waiting")
		}
	}
}

func TestElsewhereFails(t *testing.T) {
	push := Write{Act: ActPush, Reference: tag("v1"), Content: Content{Digest: digest(1), MediaType: mediaType,
		Size: 1}, Replica: "east"}
	for _, c := range []struct {
		name      string
		cut, full string
		write     Write
		problem   string // "": it is recorded
		by        string
	}{
		{"one cannot either", "", "gw2", push, "", "gw3"},
		{"one is silent", "gw2", "", push, "", "gw3"},
		{"none can", "", "gw2 gw3", push, "gw3: " + ErrUnavailable.Error(), ""},
		{"all are silent", "gw2 gw3", "", push, errSilence.Error(), ""},
		{"it is none", "", "", Write{Act: "praise", Reference: tag("v1"), Replica: "east"}, `act "praise"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &net{}
			all := three(t, n)
			n.mu.Lock()
			for _, name := range strings.Fields(c.cut) {
				n.cut[name] = true
			}
			for _, name := range strings.Fields(c.full) {
				n.full[name] = true
			}
			n.mu.Unlock()
			if c.cut != "" {
				n.of["gw1"].recordBound = 300 * time.Millisecond
			}
			err := n.of["gw1"].Elsewhere(t.Context(), c.write)
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v, want %q", err, c.problem)
			}
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v is not said to be unavailable", err)
			}
			if c.by != "" && get(t, all[c.by], tag("v1")).Name == "" {
				t.Errorf("%s has not recorded it", c.by)
			}
		})
	}
}

func TestNobodyElse(t *testing.T) {
	n := &net{of: map[string]*Gossip{}}
	n.join(t, t.Context(), "gw1", []string{"gw1"})
	if err := n.of["gw1"].Elsewhere(t.Context(), Write{}); !errors.Is(err, errNobody) {
		t.Error(err)
	}
}

// TestManyElsewhere: a member records so many for others at a time, and says so to the rest.
func TestManyElsewhere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open, begun := make(chan struct{}), make(chan struct{}, mostRecording)
	told := make(chan []byte, 1)
	g := NewGossip(&Ledger{member: "gw1"}, fakeWire{tell: func(_ string, data []byte) { told <- data }}, nil)
	g.recordHere = func(Write, time.Duration) ([]Entry, error) { begun <- struct{}{}; <-open; return nil, nil }
	var running sync.WaitGroup
	record := func(id int, to string, arrived time.Time) {
		g.record(ctx, &running, "gw2", recordRequest{ID: uint64(id), To: to, Write: Write{Act: ActPush}}, arrived)
	}
	long := time.Now().Add(time.Hour) // has not waited, however busy the machine is
	for id := range mostRecording {
		record(id, "gw1", long)
		record(id, "gw1", long) // the same again, which is being done
		<-begun
	}
	for range 2 {
		record(mostRecording, "gw1", long)
		if got := string(<-told); !strings.Contains(got, errMany.Error()) {
			t.Errorf("told %s", got)
		}
	}
	close(open)
	responses := map[string]int{}
	for range mostRecording {
		responses[string(<-told)]++
	}
	running.Wait()
	if want := fmt.Sprintf(`{"recorded":{"id":%d}}`, mostRecording-1); len(responses) != mostRecording ||
		responses[want] != 1 {
		t.Errorf("told %v", maps.Clone(responses))
	}
	record(1, "gw1", long) // its response was lost
	if got := string(<-told); got != `{"recorded":{"id":1}}` {
		t.Errorf("told %s of what is done", got)
	}
	record(mostRecording+1, "gw3", long) // is for another one
	record(mostRecording+2, "gw1", time.Now().Add(-recordBound))
	if got := string(<-told); !strings.Contains(got, errLateFor.Error()) {
		t.Errorf("told %s of what waited too long", got)
	}
	running.Wait()
	if len(begun)+len(told) > 0 {
		t.Error("more was begun, or told")
	}
}

// TestRecordsAreToldApart from all else by how they begin.
func TestRecordsAreToldApart(t *testing.T) {
	for text, want := range map[string]bool{
		string(marshal(news{Record: &recordRequest{}})):                 true,
		string(marshal(news{Recorded: &recordResponse{}})):              true,
		string(marshal(news{Have: map[string]uint64{"record": 1}})):     false,
		string(marshal(news{Page: []byte(`{"record":1}`), Asks: true})): false,
		string(marshal(news{Page: Page{}.Encode(), Knows: true})):       false,
	} {
		if got := strings.HasPrefix(text, string(recordPrefix)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// TestCurrent: after an outage a record is current when it has what the others know, and not before.
func TestCurrent(t *testing.T) {
	n := &net{}
	all := three(t, n)
	g := n.of["gw1"]
	if !g.Current() {
		t.Error("at the beginning")
	}
	n.mu.Lock()
	n.cut["gw1"] = true
	n.mu.Unlock()
	for i := range 3 * pageRows / 2 {
		pushTag(t, all["gw2"], fmt.Sprint("v", i), i)
	}
	all["gw1"].note(ErrUnavailable)
	if g.Current() {
		t.Error("while it cannot be written")
	}
	all["gw1"].note(nil)
	if g.Current() {
		t.Error("before anybody was heard")
	}
	n.mu.Lock()
	n.cut["gw1"] = false
	n.mu.Unlock()
	for end := time.Now().Add(2 * time.Minute); !g.Current(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never")
		}
	}
	for name, l := range all {
		if name != "gw1" && n.changes(t, name) > 0 && !covers(t, all["gw1"], l) {
			t.Errorf("it is current, and does not know all that %s does", name)
		}
	}
}

func covers(t *testing.T, l, other *Ledger) bool {
	t.Helper()
	ours, err := l.Vector()
	must(t, err)
	theirs, err := other.Vector()
	must(t, err)
	for origin, n := range theirs {
		if ours[origin] < n {
			return false
		}
	}
	return true
}
