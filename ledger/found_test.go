package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func find(t failer, l *Ledger, what Reference, d, replica string) Entry {
	t.Helper()
	e, err := l.Found(what, Content{Digest: d, MediaType: mediaType, Size: 1234}, replica)
	must(t, err)
	return e
}

func TestFound(t *testing.T) {
	l, _ := one(t)
	e := find(t, l, tag("v1"), digest(1), "east")
	want := Entry{
		Reference: tag("v1"), Digest: digest(1), MediaType: mediaType, Size: 1234, Replica: "east",
		Stamp: found(digest(1)), Confirmed: []string{"east"},
	}
	if !reflect.DeepEqual(e, want) || !reflect.DeepEqual(get(t, l, tag("v1")), want) {
		t.Errorf("found %v, got %v", e, get(t, l, tag("v1")))
	}
	if got := get(t, l, tag(digest(1))); got.Digest != digest(1) || !slices.Equal(got.Confirmed, []string{"east"}) {
		t.Errorf("the digest is %v", got)
	}
	if got := pending(t, l, "west"); len(got) != 2 {
		t.Errorf("west lacks %v", got)
	}
	if got := find(t, l, tag("v1"), digest(2), "west"); !reflect.DeepEqual(got, want) {
		t.Errorf("another digest of the tag: %v", got)
	}
	if got := get(t, l, tag(digest(2))); !slices.Equal(got.Confirmed, []string{"west"}) {
		t.Errorf("the other digest is not kept: %v", got)
	}
	pushed := push(t, l, tag("v1"), digest(3), "north")
	if got := find(t, l, tag("v1"), digest(1), "east"); !reflect.DeepEqual(got, pushed) {
		t.Errorf("a push was overruled: %v", got)
	}
	must(t, l.Confirm(get(t, l, tag(digest(1))), "west"))
	if events := must1(l.Events(0, 9))(t); len(events) != 1 {
		t.Errorf("events %v", events)
	}
	_, err := l.Found(tag("v1"), Content{Digest: "sha256:"}, "east")
	wantError(t, err, ErrInvalid)
	_, err = l.Found(tag(digest(1)), Content{Digest: digest(2)}, "east")
	wantError(t, err, ErrInvalid)
	checkIntegrity(t, l)
}

// What was deleted stays deleted, whatever is found of it, and a tag of it is to be deleted, too.
func TestFoundOfWhatWasDeleted(t *testing.T) {
	l, _ := one(t)
	deleted := remove(t, l, tag(digest(1)), "east")[0]
	if got := find(t, l, tag(digest(1)), digest(1), "west"); !reflect.DeepEqual(got, deleted) {
		t.Errorf("the digest is %v", got)
	}
	got := find(t, l, tag("v1"), digest(1), "west")
	if !got.Deleted || len(got.Confirmed) != 0 || !reflect.DeepEqual(got, get(t, l, tag("v1"))) {
		t.Errorf("the tag is %v", got)
	}
	if names := pending(t, l, "west"); len(names) != 2 {
		t.Errorf("west is to be rid of %v", names)
	}
	remove(t, l, tag("v2"), "east")
	if got := find(t, l, tag("v2"), digest(2), "west"); !got.Deleted {
		t.Errorf("the other tag is %v", got)
	}
	checkIntegrity(t, l)
}

func TestPushOver(t *testing.T) {
	l, _ := one(t)
	old := push(t, l, tag("v1"), digest(1), "east")
	over := func(old Entry, d string) (Entry, bool) {
		t.Helper()
		e, done, err := l.PushOver(old, Content{Digest: d, MediaType: mediaType, Size: 7}, "west")
		must(t, err)
		return e, done
	}
	e, done := over(old, digest(2))
	if !done || e.Digest != digest(2) || e.Stamp.Compare(old.Stamp) <= 0 ||
		!slices.Equal(get(t, l, tag("v1")).Confirmed, []string{"west"}) {
		t.Errorf("%v, now %v", e, get(t, l, tag("v1")))
	}
	if _, done := over(old, digest(3)); done || get(t, l, tag("v1")).Digest != digest(2) {
		t.Error("it was pushed meanwhile")
	}
	remove(t, l, tag(digest(4)), "east")
	if _, done := over(e, digest(4)); done {
		t.Error("the digest was deleted meanwhile")
	}
	if _, known, _ := l.Get(tag(digest(3))); known || len(must1(l.Events(0, 9))(t)) != 3 {
		t.Error("something was recorded")
	}
	_, _, err := l.PushOver(e, Content{Digest: "sha256:"}, "west")
	wantError(t, err, ErrInvalid)
	checkIntegrity(t, l)
}

// Whoever finds it, and whatever else was found or merged before: what was really pushed or deleted holds, and is no
// conflict.
func TestFoundGivesWay(t *testing.T) {
	dirs := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		w := newWall()
		w.ms.Store(rapid.SampledFrom([]int64{-1, 0, epoch.UnixMilli()}).Draw(t, "now"))
		var all []*Ledger
		for i, dir := range dirs {
			l := start(t, fmt.Sprintf("%s/%d", dir, round), fmt.Sprint("gw", i+1), w)
			defer l.Close()
			all = append(all, l)
		}
		names := []string{"v1", "v2", "v3"}
		written := map[string]Entry{} // each once
		has := map[string]bool{}      // tag, digest and replica
		t.Repeat(map[string]func(*rapid.T){
			"find": func(t *rapid.T) {
				name, d, replica := rapid.SampledFrom(names).Draw(t, "tag"),
					digest(rapid.IntRange(1, 3).Draw(t, "digest")), rapid.SampledFrom(regions).Draw(t, "replica")
				find(t, rapid.SampledFrom(all).Draw(t, "at"), tag(name), d, replica)
				has[name+d+replica] = true
			},
			"write": func(t *rapid.T) {
				l, what := rapid.SampledFrom(all).Draw(t, "at"), tag(rapid.SampledFrom(names).Draw(t, "tag"))
				if _, done := written[what.Name]; done {
					return
				}
				if rapid.Bool().Draw(t, "delete") {
					written[what.Name] = remove(t, l, what, "east")[0]
				} else {
					written[what.Name] = push(t, l, what, digest(rapid.IntRange(1, 3).Draw(t, "digest")), "east")
				}
			},
			"pull": func(t *rapid.T) {
				pull(t, rapid.SampledFrom(all).Draw(t, "from"), rapid.SampledFrom(all).Draw(t, "to"), 2)
			},
			"time": func(*rapid.T) { w.advance(time.Millisecond) },
		})
		together(t, all)
		agree(t, all)
		for _, l := range all {
			for name, e := range written {
				if got := get(t, l, tag(name)); got.Stamp != e.Stamp || got.Digest != e.Digest ||
					got.Deleted != e.Deleted {
					t.Fatalf("%s: %s is %v, written %v", l.member, name, got, e)
				}
			}
			for _, name := range names {
				e := get(t, l, tag(name))
				for _, replica := range e.Confirmed {
					if IsFound(e.Stamp) && !has[name+e.Digest+replica] {
						t.Fatalf("%s is confirmed of %s, which has another one: %v", name, replica, e)
					}
				}
			}
			if _, total, _ := l.Conflicts(0, 1); total != 0 {
				t.Fatalf("%s: %d conflicts", l.member, total)
			}
		}
	})
}

// A member that hears of a deletion before it hears of an earlier push must not delete what was pushed.
func TestFoundTagOfAnEarlierPush(t *testing.T) {
	all, walls := several(t, 3)
	push(t, all[1], tag("v1"), digest(2), "east")
	walls[0].advance(time.Minute)
	remove(t, all[0], tag(digest(1)), "east")
	find(t, all[2], tag("v1"), digest(1), "west")
	pull(t, all[0], all[2], 9)
	if e := get(t, all[2], tag("v1")); !e.Deleted {
		t.Errorf("the tag names what was deleted: %v", e)
	}
	together(t, all)
	agree(t, all)
	if e := get(t, all[2], tag("v1")); e.Deleted || e.Digest != digest(2) {
		t.Errorf("the push is lost: %v", e)
	}
}
