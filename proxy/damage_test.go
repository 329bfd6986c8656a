package proxy

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestLooks(t *testing.T) {
	now := time.Now()
	l := newLooks(1, 8, now)
	of := blobAt{"sha256:a", "west"}
	begins := func(want bool, of blobAt, at time.Time, why string) {
		t.Helper()
		if _, ok := l.begin(of, 1000, at); ok != want {
			t.Errorf("%s: %v", why, ok)
		}
	}
	begins(true, of, now, "the first time")
	begins(false, of, now, "while another is under way")
	begins(true, blobAt{"sha256:a", "east"}, now, "at another replica")
	l.end(of)
	begins(true, of, now, "after one that came to nothing")
	l.foundGood(of, now)
	l.end(of)
	begins(false, of, now.Add(looksLast-1), "within a day")
	begins(true, of, now.Add(looksLast), "after a day")
	if !l.foundDamaged(of, "app", now) {
		t.Error("the first time is not new")
	}
	l.end(of)
	if l.foundDamaged(of, "app", now.Add(time.Hour)) {
		t.Error("it is new again within a day")
	}
	later := now.Add(time.Hour + looksLast)
	if got := l.damagedAt(of.digest, later.Add(-1)); !slices.Equal(got, []string{"west"}) {
		t.Errorf("damaged at %v", got)
	}
	if got := l.damagedAt(of.digest, later); got != nil {
		t.Errorf("after a day: damaged at %v", got)
	}
	if got := l.damagedAt("sha256:b", now); got != nil {
		t.Errorf("another digest: damaged at %v", got)
	}
	l.budget.left = -time.Hour
	begins(false, blobAt{"sha256:b", "west"}, now, "without a budget")
	begins(true, of, later, "what was found damaged, without a budget")
	if !l.foundDamaged(of, "app", later) {
		t.Error("after a day it is not new")
	}
	if !l.foundGood(of, later) || l.foundGood(of, later) || len(l.list()) != 0 {
		t.Error("it was not mended once")
	}
}

// The tables are bounded, and so is what is held back.
func TestLooksAreBounded(t *testing.T) {
	now := time.Now()
	l := newLooks(1, 800, now)
	begun := 0
	for i := range 2000 {
		of := blobAt{fmt.Sprint("sha256:", i), "west"}
		if _, ok := l.begin(of, 0, now); ok {
			begun++
		}
		l.foundGood(of, now)
		l.foundDamaged(of, "app", now)
	}
	if begun != maxLooks || l.good.Len() != 800 || len(l.list()) != 100 {
		t.Errorf("%d under way, %d good, %d damaged", begun, l.good.Len(), len(l.list()))
	}
}

// Over a day of more to do than there is time for, hashing takes its share, and what it saved up at first.
func TestHashBudget(t *testing.T) {
	const blob, took = 100 << 20, 50 * time.Millisecond
	now := time.Now()
	b := newHashBudget(0.1, now)
	var spent time.Duration
	for range 100_000 {
		now = now.Add(10 * time.Millisecond)
		if taken, ok := b.take(blob, false, now); ok {
			b.settle(taken, took, blob)
			spent += took
		}
	}
	if most := 100*time.Second + hashBurst + took; spent > most || spent < most*9/10 {
		t.Errorf("%v of 1000 s were spent", spent)
	}
}

func TestHashBudgetOfLargeBlobs(t *testing.T) {
	now := time.Now()
	b := newHashBudget(0.1, now)
	const huge = 100 << 30
	taken, ok := b.take(huge, false, now)
	if !ok || taken <= hashBurst {
		t.Errorf("what costs more than there can ever be is taken for %v: %v", taken, ok)
	}
	if _, ok := b.take(1, false, now.Add(time.Minute)); ok {
		t.Error("there is something left at once")
	}
	if _, ok := b.take(1, true, now.Add(time.Minute)); !ok {
		t.Error("what is forced is not taken")
	}
	b.settle(taken, 0, 1000) // its client left
	if _, ok := b.take(1, false, now.Add(time.Minute)); !ok {
		t.Error("what was not spent was not given back")
	}
	if _, ok := b.take(huge, false, now.Add(time.Minute)); ok {
		t.Error("it is taken again before all is there")
	}
	if _, ok := b.take(huge, false, now.Add(2*time.Minute)); !ok {
		t.Error("it is not taken when all is there")
	}
}
