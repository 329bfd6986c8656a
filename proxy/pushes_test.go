package proxy

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPushes(t *testing.T) {
	p := newPushes(10*time.Minute, 16)
	k := pushKey{alice, "app"}
	at := func(now time.Time) string {
		names := p.replicas(k, now)
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	p.note(k, "sha256:1", "west", start)
	p.note(k, "sha256:2", "west", start)
	if got := at(start); got != "west" {
		t.Errorf("content at %q", got)
	}
	p.note(k, "sha256:3", "east", start)
	if got := at(start); got != "east west" {
		t.Errorf("content at %q", got)
	}
	p.note(k, "sha256:1", "east", start.Add(time.Minute))
	p.note(k, "sha256:2", "east", start.Add(time.Minute))
	if got := at(start.Add(time.Minute)); got != "east" {
		t.Errorf("what is pushed again has moved; content at %q", got)
	}
	if got := p.replicas(pushKey{bob, "app"}, start); got != nil {
		t.Errorf("another client's: %q", got)
	}
	if got := at(start.Add(11 * time.Minute)); got != "" {
		t.Errorf("after idle: %q", got)
	}
	p.note(k, "sha256:1", "west", start)
	p.end(k)
	if got := at(start); got != "" {
		t.Errorf("forgotten: %q", got)
	}
}

func TestPushesAreBounded(t *testing.T) {
	const maxPushes = 100
	p := newPushes(time.Hour, maxPushes)
	for i := range maxPushes + 100 {
		p.note(pushKey{alice, strconv.Itoa(i)}, "sha256:1", "west", start)
	}
	k := pushKey{bob, "app"}
	for i := range maxPushContent + 100 {
		p.note(k, strconv.Itoa(i), "west", start)
	}
	if got := p.all.Len(); got != maxPushes {
		t.Errorf("%d pushes", got)
	}
	if of, _ := p.all.Get(k); len(of.at) != maxPushContent {
		t.Errorf("%d blobs", len(of.at))
	}
}
