package test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// history is what was answered to writes that asked who owns a repository.
type history struct {
	began time.Time // Static.

	mu     sync.Mutex
	events []event // Guarded by mu.
}

// event is one write that a replica accepted, on the history's own clock.
type event struct {
	repository, owner string
	what              string // for people
	began, ended      time.Duration
}

// span is a time during which all gateways were connected and knew it.
type span struct {
	from, to time.Duration
	alone    int // grants meanwhile by a gateway whose question stayed without an answer: it decides alone, and says so
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) now() time.Duration {
	if h == nil {
		return 0
	}
	return time.Since(h.began)
}

// accepted notes a write that began at a time. One whose URL names its owner asked nobody.
func (h *history) accepted(path, replica string, began time.Duration) {
	owner, reason, _ := strings.Cut(replica, "; reason=")
	if h == nil || reason == "owner" {
		return
	}
	repository, _, _ := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event{repository, owner, path + " " + reason, began, h.now()})
}

// twoOwners lists the repositories that had two owners at once while all were connected: writes within one span,
// whether one after the other or at once, that different replicas accepted. No lease ends by itself in so short a time.
// A grant that a gateway made alone, on a machine too busy to answer it, excuses one repository.
func twoOwners(events []event, connected []span) (found []string) {
	for _, s := range connected {
		owners, several, here := map[string]event{}, map[string]bool{}, []string{}
		for _, e := range slices.SortedFunc(slices.Values(events), func(a,
			b event) int {
			return cmp.Compare(a.began, b.began)
		}) {
			if e.began < s.from || e.ended > s.to {
				continue
			}
			first, known := owners[e.repository]
			if !known {
				owners[e.repository] = e
			} else if first.owner != e.owner {
				several[e.repository] = true
				here = append(here, fmt.Sprintf("%s from %v to %v for %s, %s from %v to %v for %s",
					first.owner, first.began, first.ended, first.what, e.owner, e.began, e.ended, e.what))
			}
		}
		if len(several) > s.alone {
			found = append(found, here...)
		}
	}
	return found
}

func TestTwoOwners(t *testing.T) {
	connected := []span{{0, 10, 0}, {20, 30, 0}, {40, 50, 1}}
	tests := []struct {
		name   string
		events []event
		want   int
	}{
		{"nothing", nil, 0},
		{"one owner", []event{{"app", "east", "", 1, 2}, {"app", "east", "", 3, 4}}, 0},
		{"one after the other", []event{{"app", "east", "", 1, 2}, {"app", "west", "", 3, 4}}, 1},
		{"at once", []event{{"app", "east", "", 1, 4}, {"app", "west", "", 2, 3}}, 1},
		{"in any order", []event{{"app", "west", "", 3, 4}, {"app", "east", "", 1, 2}}, 1},
		{"two repositories", []event{{"app", "east", "", 1, 2}, {"other", "west", "", 3, 4}}, 0},
		{"during the cut", []event{{"app", "east", "", 11, 12}, {"app", "west", "", 13, 14}}, 0},
		{"into the cut", []event{{"app", "east", "", 1, 2}, {"app", "west", "", 9, 11}}, 0},
		{"out of the cut", []event{{"app", "east", "", 19, 21}, {"app", "west", "", 22, 23}}, 0},
		{"before and after", []event{{"app", "east", "", 1, 2}, {"app", "west", "", 22, 23}}, 0},
		{"a grant without an answer", []event{{"app", "east", "", 41, 42}, {"app", "west", "", 43, 44}}, 0},
		{"more than it explains", []event{{"app", "east", "", 41, 42}, {"app", "west", "", 43, 44},
			{"other", "east", "", 41, 42}, {"other", "west", "", 43, 44}}, 2},
		{"after it", []event{{"app", "east", "", 21, 22}, {"app", "west", "", 22, 23}, {"app", "west", "", 24, 25}}, 2},
	}
	for _, tt := range tests {
		if got := twoOwners(tt.events, connected); len(got) != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
