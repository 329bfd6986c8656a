package proxy

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParts(t *testing.T) {
	p := newParts(10 * time.Minute)
	k := bindingKey{alice, "app"}
	at := func(now time.Time) string {
		names := p.replicas(k, now)
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	p.add(k, "sha256:1", "west", start)
	p.add(k, "sha256:2", "west", start)
	if got := at(start); got != "west" {
		t.Errorf("parts at %q", got)
	}
	p.add(k, "sha256:3", "east", start)
	if got := at(start); got != "east west" {
		t.Errorf("parts at %q", got)
	}
	p.add(k, "sha256:1", "east", start.Add(time.Minute))
	p.add(k, "sha256:2", "east", start.Add(time.Minute))
	if got := at(start.Add(time.Minute)); got != "east" {
		t.Errorf("what is pushed again has moved; parts at %q", got)
	}
	if got := p.replicas(bindingKey{bob, "app"}, start); got != nil {
		t.Errorf("another client's: %q", got)
	}
	if got := at(start.Add(11 * time.Minute)); got != "" {
		t.Errorf("after idle: %q", got)
	}
	p.add(k, "sha256:1", "west", start)
	p.forget(k)
	if got := at(start); got != "" {
		t.Errorf("forgotten: %q", got)
	}
}

func TestPartsAreBounded(t *testing.T) {
	p := newParts(time.Hour)
	for i := range maxPushes + 100 {
		p.add(bindingKey{alice, strconv.Itoa(i)}, "sha256:1", "west", start)
	}
	k := bindingKey{bob, "app"}
	for i := range maxParts + 100 {
		p.add(k, strconv.Itoa(i), "west", start)
	}
	if got := p.pushes.Len(); got != maxPushes {
		t.Errorf("%d pushes", got)
	}
	if of, _ := p.pushes.Get(k); len(of.at) != maxParts {
		t.Errorf("%d parts", len(of.at))
	}
}
