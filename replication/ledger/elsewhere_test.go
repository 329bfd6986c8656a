package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
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
			{Act: ActPush, Reference: v1, Content: Content{Digest: image, MediaType: mediaType, Size: 1}, Replica: "east", By: Request{Method: "PUT"}},
			{Act: ActUntag, Reference: v1, StandIn: standIn, Replica: "east"},
			{Act: ActDelete, Reference: tag(image), Replica: "east"},
		} {
			before := n.changes(t, "gw2") + n.changes(t, "gw3")
			must(t, n.of["gw1"].Elsewhere(t.Context(), w))
			after := n.changes(t, "gw2") + n.changes(t, "gw3")
			here := n.changes(t, "gw1")
			if wrote := map[Act]uint64{ActPush: 2, ActUntag: 2, ActDelete: 1}[w.Act]; after-before != wrote || here != 0 {
				t.Errorf("%d of a hundred packets lost, write %d: %d changes, want %d; %d here", lose, i, after-before, wrote, here)
			}
		}
		// All are told of a deletion before it counts as recorded.
		if e := get(t, all["gw1"], tag(image)); !e.Deleted {
			t.Errorf("of the image gw1 knows %+v", e)
		}
		if e := get(t, all["gw1"], v1); !e.Deleted || e.Replica != "east" {
			t.Errorf("of the tag gw1 knows %+v", e)
		}
		if len(n.of["gw1"].requests) != 0 {
			t.Error("still waiting")
		}
	}
}

func TestElsewhereFails(t *testing.T) {
	push := Write{Act: ActPush, Reference: tag("v1"), Content: Content{Digest: digest(1), MediaType: mediaType, Size: 1}, Replica: "east"}
	for _, c := range []struct {
		name      string
		cut, full string
		write     Write
		problem   string // "": it is recorded
		by        string
	}{
		{"one cannot either", "", "gw2", push, "", "gw3"},
		{"one is silent", "gw2", "", push, "", "gw3"},
		{"none can", "", "gw2 gw3", push, ErrUnavailable.Error(), ""},
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
	g := NewGossip(nil, Wire{
		Record: func(Write) error { begun <- struct{}{}; <-open; return nil },
		Tell:   func(_ string, data []byte) { told <- data },
	}, nil)
	for id := range mostRecording {
		g.record(ctx, "gw2", recordRequest{ID: uint64(id), Write: Write{Act: ActPush}})
		g.record(ctx, "gw2", recordRequest{ID: uint64(id), Write: Write{Act: ActPush}}) // the same again, which is being done
		<-begun
	}
	for range 2 {
		g.record(ctx, "gw2", recordRequest{ID: mostRecording, Write: Write{Act: ActPush}})
		if got := string(<-told); !strings.Contains(got, errMany.Error()) {
			t.Errorf("told %s", got)
		}
	}
	close(open)
	responses := map[string]int{}
	for range mostRecording {
		responses[string(<-told)]++
	}
	g.all.Wait()
	if want := fmt.Sprintf(`{"recorded":{"id":%d}}`, mostRecording-1); len(responses) != mostRecording || responses[want] != 1 {
		t.Errorf("told %v", maps.Clone(responses))
	}
	go g.record(ctx, "gw2", recordRequest{ID: 1, Write: Write{Act: ActPush}}) // its response was lost
	if got := string(<-told); got != `{"recorded":{"id":1}}` {
		t.Errorf("told %s of what is done", got)
	}
}
