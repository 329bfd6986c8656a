package ledger

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"pgregory.net/rapid"
)

// several are ledgers of members whose clocks differ.
func several(t *testing.T, count int) (all []*Ledger, walls []*wall) {
	for i := range count {
		w := newWall()
		w.advance(time.Duration(i) * time.Second)
		l := start(t, t.TempDir(), fmt.Sprint("gw", i+1), w)
		t.Cleanup(func() { must(t, l.Close()) })
		all, walls = append(all, l), append(walls, w)
	}
	return all, walls
}

func together(t failer, all []*Ledger) {
	t.Helper()
	for range 2 {
		for _, to := range all {
			for _, from := range all {
				if from != to {
					pull(t, from, to, 3)
				}
			}
		}
	}
}

func agree(t failer, all []*Ledger) {
	t.Helper()
	vector := must1(all[0].Vector())(t)
	for _, l := range all {
		checkIntegrity(t, l)
		if got, want := everything(t, l, true), everything(t, all[0], true); got != want {
			t.Fatal(fmt.Sprintf("%s has\n%s%s has\n%s", l.member, got, all[0].member, want))
		}
		if !maps.Equal(must1(l.Vector())(t), vector) {
			t.Fatal(fmt.Sprintf("%s has heard %v, %s %v", l.member, must1(l.Vector())(t), all[0].member, vector))
		}
	}
}

func TestExchange(t *testing.T) {
	all, _ := several(t, 3)
	a, b, c := all[0], all[1], all[2]
	e := push(t, a, tag("v1"), digest(1), "east")
	if got := pull(t, a, b, 10); len(got.News) != 2 || get(t, b, tag("v1")).Stamp != e.Stamp {
		t.Errorf("heard %v", got)
	}
	if got := pull(t, b, c, 10); len(got.News) != 2 { // by way of another
		t.Errorf("heard %v", got)
	}
	if p := must1(a.Since(must1(c.Vector())(t), 10))(t); len(p.Rows) != 0 || p.More {
		t.Errorf("told again: %v", p)
	}
	must(t, c.Confirm(get(t, c, tag("v1")), "west"))
	if got := pull(t, c, a, 10); len(got.News) != 1 || !slices.Equal(got.News[0].Confirmed, []string{"east", "west"}) {
		t.Errorf("heard %v", got)
	}
	remove(t, b, tag("v1"), "west") // which has not heard of the confirmation
	pull(t, b, a, 10)
	if got := get(t, a, tag("v1")); !got.Deleted || !slices.Equal(got.Confirmed, []string{"west"}) {
		t.Errorf("got %v", got)
	}
	together(t, all)
	agree(t, all)
}

func TestAnyOrderConverges(t *testing.T) {
	dirs := [3]string{t.TempDir(), t.TempDir(), t.TempDir()}
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		var all []*Ledger
		w := newWall()
		for i, dir := range dirs {
			l := start(t, fmt.Sprintf("%s/%d", dir, round), fmt.Sprint("gw", i+1), w)
			defer l.Close()
			all = append(all, l)
		}
		some := func() *Ledger { return rapid.SampledFrom(all).Draw(t, "at") }
		latest, confirmed := map[string]hlc.Stamp{}, map[string]bool{}
		wrote := func(e Entry) {
			if e.Stamp.Compare(latest[e.key()]) > 0 {
				latest[e.key()] = e.Stamp
			}
		}
		what := rapid.Custom(func(t *rapid.T) Reference {
			return tag(rapid.SampledFrom([]string{"v1", "v2", digest(1), digest(2)}).Draw(t, "name"))
		})
		late := []Page{}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				r, d := what.Draw(t, "what"), digest(rapid.IntRange(1, 2).Draw(t, "digest"))
				if r.IsDigest() {
					d = r.Name
				}
				wrote(push(t, some(), r, d, rapid.SampledFrom(regions).Draw(t, "replica")))
			},
			"find": func(t *rapid.T) {
				r, d := what.Draw(t, "what"), digest(rapid.IntRange(1, 2).Draw(t, "digest"))
				if r.IsDigest() {
					d = r.Name
				}
				find(t, some(), r, d, rapid.SampledFrom(regions).Draw(t, "replica"))
			},
			"delete": func(t *rapid.T) {
				for _, e := range remove(t, some(), what.Draw(t, "what"), rapid.SampledFrom(regions).Draw(t,
					"replica")) {
					wrote(e)
				}
			},
			"confirm": func(t *rapid.T) {
				l := some()
				if e := get(t, l, what.Draw(t, "what")); e.Name != "" {
					replica := rapid.SampledFrom(regions).Draw(t, "replica")
					must(t, l.Confirm(e, replica))
					confirmed[fmt.Sprint(e.key(), e.Stamp, replica)] = true
				}
			},
			"pull": func(t *rapid.T) { // a page or some; what follows is lost
				from, to := some(), some()
				vector := must1(to.Vector())(t)
				for range rapid.IntRange(1, 3).Draw(t, "pages") {
					p := must1(from.Since(vector, rapid.IntRange(1, 3).Draw(t, "limit")))(t)
					must1(to.MergePage(p))(t)
					late = append(late, p)
					maps.Copy(vector, p.UpTo)
				}
			},
			"late": func(t *rapid.T) { late = append(late, must1(some().Since(nil, 2))(t)) },
			"again": func(t *rapid.T) {
				must1(some().MergePage(rapid.SampledFrom(append(late, Page{})).Draw(t,
					"page")))(t)
			},
			"time": func(t *rapid.T) { w.advance(time.Millisecond) },
		})
		together(t, all)
		agree(t, all)
		for key, stamp := range latest {
			must(t, all[0].read(func(x *tx) {
				r, _ := x.row(key)
				if r.Stamp.Compare(stamp) < 0 {
					t.Fatalf("%q is of %v, last written %v", key, r.Stamp, stamp)
				}
				for _, replica := range regions {
					if confirmed[fmt.Sprint(key, r.Stamp, replica)] && !slices.Contains(r.Confirmed, replica) {
						t.Fatalf("%q: the confirmation of %s is lost", key, replica)
					}
				}
				if d, _ := x.row(tag(r.Digest).key()); r.tombstonedBy(d) {
					t.Fatalf("%q names what was deleted since", key)
				}
			}))
		}
	})
}

func TestConflicts(t *testing.T) {
	all, _ := several(t, 3)
	a, b, c := all[0], all[1], all[2]
	push(t, a, tag("v1"), digest(1), "east")
	together(t, all)
	lost := push(t, a, tag("v1"), digest(2), "east")
	won := push(t, b, tag("v1"), digest(3), "west") // its clock is ahead
	if got := pull(t, a, b, 10); got.Conflicts != 1 || get(t, b, tag("v1")).Digest != digest(3) {
		t.Errorf("the loser arrived: %v", got)
	}
	if got := pull(t, b, a, 10); got.Conflicts != 1 {
		t.Errorf("the winner arrived: %v", got)
	}
	for _, l := range []*Ledger{a, b} {
		_, err := l.MergePage(Page{Rows: []Row{{Entry: lost}}}) // told again
		must(t, err)
		found, total, err := l.Conflicts(0, 9)
		if err != nil || total != 1 || len(found) != 1 || found[0].Loser.Stamp != lost.Stamp ||
			found[0].Loser.Digest != digest(2) || found[0].Winner.Stamp != won.Stamp {
			t.Errorf("%d conflicts: %v, %v", total, found, err)
		}
	}
	together(t, all)
	// A chain of which somebody hears only the end.
	push(t, a, tag("v1"), digest(4), "east")
	pull(t, a, b, 10)
	push(t, b, tag("v1"), digest(5), "east")
	push(t, b, tag("v1"), digest(6), "east")
	if got := pull(t, b, c, 10); got.Conflicts != 0 {
		t.Errorf("a conflict with what was known: %v", got)
	}
	together(t, all)
	agree(t, all)
}

// A digest deleted on one side of a cut and tagged before on the other.
func TestTagsOfWhatWasDeletedElsewhere(t *testing.T) {
	for name, first := range map[string]int{"the tag is heard of first": 0, "the tombstone is heard of first": 1} {
		t.Run(name, func(t *testing.T) {
			all, walls := several(t, 3)
			push(t, all[0], tag("v1"), digest(1), "east")
			walls[1].advance(time.Minute)
			remove(t, all[1], tag(digest(1)), "west")
			pull(t, all[first], all[2], 10)
			got := pull(t, all[1-first], all[2], 10)
			if e := get(t, all[2], tag("v1")); !e.Deleted || !slices.ContainsFunc(got.News,
				func(e Entry) bool { return e.Name == "v1" && e.Deleted }) {
				t.Errorf("got %v; heard %v", e, got)
			}
			together(t, all)
			agree(t, all)
			push(t, all[0], tag("v1"), digest(1), "east")
			together(t, all)
			if get(t, all[2], tag("v1")).Deleted {
				t.Error("it cannot be pushed again")
			}
		})
	}
}

// A digest was deleted after its tag had been given to another one, and somebody who has not heard of that yet makes a
// tombstone of the tag.
func TestDeletedAfterItsTagMovedOn(t *testing.T) {
	all, walls := several(t, 3)
	push(t, all[0], tag("v1"), digest(1), "east")
	together(t, all)
	walls[0].advance(time.Minute)
	moved := push(t, all[0], tag("v1"), digest(2), "east")
	walls[1].advance(2 * time.Minute)
	remove(t, all[1], tag(digest(1)), "east")
	if e := get(t, all[1], tag("v1")); !e.Deleted {
		t.Errorf("it is a tag of nothing: %v", e)
	}
	together(t, all)
	agree(t, all)
	if e := get(t, all[1], tag("v1")); e.Deleted || e.Digest != digest(2) || e.Stamp != moved.Stamp {
		t.Errorf("what was pushed is lost: %v", e)
	}
}

// What was deleted with its digest is deleted where the tag is known to have been.
func TestWhereTagsAreDeletedWithTheirDigest(t *testing.T) {
	for _, tt := range []struct {
		name, deletedAt string
		want            []string // confirmed
	}{
		{"there", "east", []string{"east"}},
		{"confirmed there", "west", []string{"west"}},
		{"nobody knows what the tag is there", "north", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := one(t)
			must(t, l.Confirm(push(t, l, tag("v1"), digest(1), "east"), "west"))
			remove(t, l, tag(digest(1)), tt.deletedAt)
			if e := get(t, l, tag("v1")); !e.Deleted || !slices.Equal(e.Confirmed, tt.want) {
				t.Errorf("got %v", e)
			}
		})
	}
}

// A tag that is older than what tombstones are kept for, and deleted with its digest while somebody is away.
func TestOldTagDeletedWithItsDigest(t *testing.T) {
	const retention = 30 * 24 * time.Hour
	all, walls := several(t, 2)
	push(t, all[0], tag("v1"), digest(1), "east")
	together(t, all)
	for _, w := range walls {
		w.advance(retention + time.Hour)
	}
	for _, e := range remove(t, all[0], tag(digest(1)), "east") {
		for _, r := range regions {
			must(t, all[0].Confirm(e, r))
		}
	}
	if n := must1(all[0].Compact(retention))(t); n != 0 {
		t.Errorf("%d deletions of just now are forgotten", n)
	}
	push(t, all[0], tag("v2"), digest(1), "east")
	together(t, all)
	agree(t, all)
	if e := get(t, all[1], tag("v1")); !e.Deleted {
		t.Errorf("it is back: %v", e)
	}
	walls[0].advance(retention + time.Hour)
	if n := must1(all[0].Compact(retention))(t); n != 1 {
		t.Errorf("%d deletions are forgotten in their time", n)
	}
}

// A tag may arrive before the digest that was pushed with it, and an old tombstone of that in between.
func TestATombstoneOlderThanTheTag(t *testing.T) {
	l, _ := one(t)
	old := live(5, "gw2", 1, "west")
	old.Name, old.Deleted = old.Digest, true
	for _, r := range []Row{live(6, "gw3", 1, "east"), old} {
		must1(l.MergePage(Page{Rows: []Row{r}}))(t)
	}
	if e := get(t, l, tag("v1")); e.Deleted || e.Stamp.WallMS != 6 {
		t.Errorf("got %v", e)
	}
}

func TestInsaneClock(t *testing.T) {
	all, walls := several(t, 2)
	a, b := all[0], all[1]
	push(t, a, tag("v1"), digest(1), "east")
	walls[0].advance(25 * time.Hour)
	push(t, a, tag("v2"), digest(2), "east")
	if got := pull(t, a, b, 1); got.Refused != 2 || len(got.News) != 2 {
		t.Errorf("heard %v", got)
	}
	if push(t, b, tag("v3"), digest(3), "east").Stamp.WallMS != walls[1].ms.Load() {
		t.Error("it took our clock along")
	}
	if got := pull(t, a, b, 1); got.Refused != 2 || len(got.News) != 0 {
		t.Errorf("heard %v", got)
	}
	walls[1].advance(2 * time.Hour)
	if got := pull(t, a, b, 1); got.Refused != 0 || len(got.News) != 2 {
		t.Errorf("when it can be believed, heard %v", got)
	}
	together(t, all)
	agree(t, all)
}

func TestPagesOutOfOrder(t *testing.T) {
	all, _ := several(t, 2)
	a, b := all[0], all[1]
	for i := range 3 {
		push(t, a, tag(digest(i)), digest(i), "east")
	}
	first := must1(a.Since(nil, 1))(t)
	second := must1(a.Since(first.UpTo, 1))(t)
	must1(b.MergePage(second))(t)
	if got := must1(b.Vector())(t); len(got) != 0 {
		t.Errorf("with a page lost it has heard %v", got)
	}
	if got := pull(t, a, b, 1); len(got.News) != 2 || len(must1(b.Vector())(t)) != 1 {
		t.Errorf("heard %v", got)
	}
	p := must1(a.Since(map[string]uint64{a.origin(t): math.MaxUint64}, 9))(t)
	if len(p.Rows)+len(p.UpTo) != 0 {
		t.Errorf("told %v to who claims to know all", p)
	}
}

func (l *Ledger) origin(t failer) (origin string) {
	must(t, l.read(func(t *tx) { origin = t.origin() }))
	return origin
}

func TestLostFile(t *testing.T) {
	all, walls := several(t, 2)
	a, b := all[0], all[1]
	push(t, a, tag("v1"), digest(1), "east")
	together(t, all)
	anew := start(t, t.TempDir(), "gw1", walls[0])
	defer anew.Close()
	push(t, anew, tag("v2"), digest(2), "east")
	if got := pull(t, anew, b, 9); len(got.News) != 2 {
		t.Errorf("what a new file holds is taken for known: %v", got)
	}
	together(t, []*Ledger{anew, b})
	agree(t, []*Ledger{anew, b})
	if get(t, anew, tag("v1")).Digest != digest(1) {
		t.Error("what was lost was not merged")
	}
}

// An old copy of the file is put back: numbers of changes come twice.
func TestRestoredFile(t *testing.T) {
	all, walls := several(t, 2)
	a, b := all[0], all[1]
	push(t, a, tag("v1"), digest(1), "east")
	together(t, all)
	dir := t.TempDir()
	copyFile(t, a.path, dir+"/"+fileName)
	push(t, a, tag("lost"), digest(2), "east")
	push(t, a, tag("lost2"), digest(2), "east")
	pull(t, a, b, 9)
	restored := start(t, dir, "gw1", walls[0])
	defer restored.Close()
	walls[0].advance(time.Second)
	push(t, restored, tag("since"), digest(3), "east")
	both := []*Ledger{restored, b}
	together(t, both)
	together(t, both)
	agree(t, both)
	for _, name := range []string{"v1", "lost", "lost2", "since"} {
		if get(t, restored, tag(name)).Name == "" || get(t, b, tag(name)).Name == "" {
			t.Errorf("%s is lost", name)
		}
	}
}

func TestOriginsAreBounded(t *testing.T) {
	l, _ := one(t)
	mine := push(t, l, tag("v1"), digest(1), "east")
	for i := range maxOrigins + 10 {
		must1(l.MergePage(Page{UpTo: map[string]uint64{fmt.Sprintf("gw2/%016x", i): 5}}))(t)
	}
	if got := must1(l.Vector())(t); len(got) > maxOrigins || got[l.origin(t)] == 0 ||
		got[fmt.Sprintf("gw2/%016x", maxOrigins+9)] != 5 {
		t.Errorf("%d origins", len(got))
	}
	for half := range 2 {
		p := Page{UpTo: map[string]uint64{}}
		for i := range maxOrigins/2 + 5 {
			i += half * (maxOrigins/2 + 5)
			o := fmt.Sprintf("gw3/%016x", i)
			r := changed(live(mine.Stamp.WallMS, "gw3", 1, "east"), o, 1)
			r.Name = fmt.Sprint("t", i)
			p.Rows, p.UpTo[o] = append(p.Rows, r), 1
		}
		must1(l.MergePage(p))(t)
	}
	if got := must1(l.Vector())(t); len(got) > maxOrigins || get(t, l, tag(fmt.Sprint("t", maxOrigins+9))).Name == "" {
		t.Errorf("%d origins", len(got))
	}
	checkIntegrity(t, l)
}

func TestBadPages(t *testing.T) {
	l, _ := one(t)
	many := map[string]uint64{}
	for i := range maxOrigins + 1 {
		many[fmt.Sprint(i)] = 1
	}
	for _, p := range []Page{{Rows: make([]Row, maxPageRows+1)}, {UpTo: many}, {From: many},
		{UpTo: map[string]uint64{"": 1}}} {
		_, err := l.MergePage(p)
		wantError(t, err, ErrInvalid)
	}
	later := changed(live(1, "a", 1, "east"), "gw9/1", 4).encode()
	later = append([]byte(`{"rows":[{"v":2,`), later[len(`{"v":1,`):]...)
	p, err := DecodePage(append(later, `],"upTo":{"gw9/1":4,"gw8/1":7}}`...))
	must(t, err)
	if got := must1(l.MergePage(p))(t); got.Refused != 1 {
		t.Errorf("merged %v", got)
	}
	if got := must1(l.Vector())(t); got["gw9/1"] != 3 || got["gw8/1"] != 7 {
		t.Errorf("what was refused is not asked for again: %v", got)
	}
	_, err = DecodePage(make([]byte, maxPageSize+1))
	wantError(t, err, ErrInvalid)
}

func TestLargePages(t *testing.T) {
	all, _ := several(t, 2)
	must(t, all[0].submit(func(t *tx) error {
		for i := range 400 {
			r := live(int64(i+1), "gw1", i, "east")
			r.Name = fmt.Sprint("t", i)
			for n := range maxSeen {
				r.Seen = append(r.Seen, at(int64(n), fmt.Sprintf("%064d", n)))
			}
			if err := t.changeRow(Row{}, r); err != nil {
				return err
			}
		}
		return nil
	}))
	p := must1(all[0].Since(nil, maxList))(t)
	if size := len(p.Encode()); !p.More || size > maxPageSize || size < maxPageBytes {
		t.Errorf("%d bytes, %d rows", size, len(p.Rows))
	}
	pull(t, all[0], all[1], maxList)
	agree(t, all)
}
