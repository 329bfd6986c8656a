package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const idle = time.Minute

func drawStamp(t *rapid.T) hlc.Stamp {
	return hlc.Stamp{WallMS: rapid.Int64Range(0, 3).Draw(t, "wall"), Logical: rapid.Uint32Range(0, 1).Draw(t,
		"logical"), Member: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "member")}
}

func drawGrants(t *rapid.T, label string) Grants {
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Grant {
		return Grant{"app", rapid.SampledFrom([]string{"x", "y"}).Draw(t, "owner"), drawStamp(t),
			rapid.Bool().Draw(t, "alone"),
			rapid.Bool().Draw(t, "ended"), epoch.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "last")) * time.Minute)}
	}), 0, 9).Draw(t, label)
	return Grants{}.Merge(list)
}

func TestMergeIsARepeatableUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawGrants(t, "a"), drawGrants(t, "b"), drawGrants(t, "c")
		if ab, ba := a.Merge(b), b.Merge(a); !slices.Equal(ab, ba) {
			t.Fatalf("not commutative: %v, %v", ab, ba)
		}
		if left, right := a.Merge(b).Merge(c), a.Merge(b.Merge(c)); !slices.Equal(left, right) {
			t.Fatalf("not associative: %v, %v", left, right)
		}
		if again := a.Merge(a); !slices.Equal(again, a) {
			t.Fatalf("not idempotent: %v, %v", again, a)
		}
		if len(a.Merge(b)) > maxGrants {
			t.Fatalf("%d grants", len(a.Merge(b)))
		}
	})
}

func TestOwnerIsTheEarliestLive(t *testing.T) {
	g := func(owner string, wall int64, ended bool, age time.Duration) Grant {
		return Grant{"app", owner, hlc.Stamp{WallMS: wall}, false, ended, epoch.Add(-age)}
	}
	tests := []struct {
		name  string
		set   Grants
		want  string
		live  int
		after int // Collect
	}{
		{"none", nil, "", 0, 0},
		{"one", Grants{g("x", 1, false, 0)}, "x", 1, 1},
		{"idle", Grants{g("x", 1, false, idle)}, "", 0, 1},
		{"just not idle", Grants{g("x", 1, false, idle-1)}, "x", 1, 1},
		{"long idle", Grants{g("x", 1, false, 2*idle)}, "", 0, 0},
		{"ended", Grants{g("x", 1, true, 0)}, "", 0, 1},
		{"earlier wins", Grants{g("y", 2, false, 0), g("x", 1, false, time.Second)}, "x", 2, 2},
		{"earlier ended", Grants{g("x", 1, true, 0), g("y", 2, false, 0)}, "y", 1, 2},
		{"earlier idle", Grants{g("x", 1, false, 2*idle), g("y", 2, false, 0)}, "y", 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := Grants{}.Merge(tt.set)
			got, ok := set.Owner(epoch, idle)
			if got.Owner != tt.want || ok != (tt.want != "") {
				t.Errorf("owner %q, want %q", got.Owner, tt.want)
			}
			if set.countLive(epoch, idle) != tt.live || len(set.collect(epoch, idle)) != tt.after {
				t.Errorf("live %d, want %d; collected %v", set.countLive(epoch, idle), tt.live,
					set.collect(epoch, idle))
			}
		})
	}
}

func TestTheNewestFourAreKept(t *testing.T) {
	var set Grants
	for _, wall := range []int64{3, 5, 1, 4, 2} {
		set = set.Merge(Grants{{Stamp: hlc.Stamp{WallMS: wall}}})
	}
	for i, g := range set {
		if g.Stamp.WallMS != int64(i+2) || len(set) != maxGrants {
			t.Errorf("kept %v", set)
		}
	}
}

// Two members that tell each other a grant, each time a second late, must not keep it alive.
func TestEchoesDoNotProlong(t *testing.T) {
	a := Grants{{Owner: "x", Stamp: hlc.Stamp{WallMS: 1}, Last: epoch}}
	b := a
	for range 100 {
		late := a[0]
		late.Last = late.Last.Add(time.Second)
		b = b.Merge(Grants{b.adjustLast(late, idle/8)})
		late = b[0]
		late.Last = late.Last.Add(time.Second)
		a = a.Merge(Grants{a.adjustLast(late, idle/8)})
	}
	if !a[0].Last.Equal(epoch) || !b[0].Last.Equal(epoch) {
		t.Errorf("last %v and %v, want %v", a[0].Last, b[0].Last, epoch)
	}
	fresh := a[0]
	fresh.Last = epoch.Add(idle / 4)
	if a = a.Merge(Grants{a.adjustLast(fresh, idle/8)}); !a[0].Last.Equal(fresh.Last) {
		t.Error("a prolonged grant was not taken")
	}
}

func TestArbiterMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,4}`), 2, 9, rapid.ID).Draw(t, "members")
		gone := rapid.SampledFrom(members).Draw(t, "gone")
		repository := rapid.String().Draw(t, "repository")
		before := Arbiter(repository, members)
		shuffled := rapid.Permutation(members).Draw(t, "shuffled")
		if got := Arbiter(repository, shuffled); got != before {
			t.Fatalf("%q and %q, by the order alone", before, got)
		}
		rest := slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == gone })
		if after := Arbiter(repository, rest); before != gone && after != before || after == gone {
			t.Fatalf("from %q to %q when %q went", before, after, gone)
		}
	})
}

func TestArbitersShareTheWork(t *testing.T) {
	members := []string{"gw1", "gw2", "gw3"}
	count := map[string]int{}
	for i := range 3000 {
		count[Arbiter(fmt.Sprintf("team/app-%d", i), members)]++
	}
	for _, m := range members {
		if count[m] < 900 || count[m] > 1100 {
			t.Errorf("shares %v", count)
		}
	}
	if Arbiter("app", nil) != "" {
		t.Error("an arbiter among nobody")
	}
}

func TestRepairSteps(t *testing.T) {
	var r repair
	var due uint64
	steps := []struct{ mask, due, lasting uint64 }{
		{1, 0, 0}, {3, 1, 1}, {2, 2, 2}, {0, 0, 0}, {2, 0, 0}, {1, 0, 0}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1},
		{1, 1, 1},
		{1, 0, 1}, {3, 0, 1}, {3, 3, 3}, {1, 0, 1}, {4, 0, 0}, {4, 0, 4}, {4, 0, 4}, {4, 4, 4}, {4, 0, 4}, {0, 0, 0},
	}
	for i, s := range steps {
		if r, due = r.step(s.mask); due != s.due || r.lasting != s.lasting {
			t.Errorf("step %d: %b due, want %b; %b lasting, want %b", i, due, s.due, r.lasting, s.lasting)
		}
	}
}

func TestDivergence(t *testing.T) {
	r := newRepairs()
	members := []string{"gw1", "gw2", "gw3"}
	for i, s := range []struct {
		member string
		mask   uint64
		want   int
	}{
		{"gw2", 0b11, 0}, {"gw2", 0b11, 2}, {"gw3", 0b110, 2}, {"gw3", 0b110, 3}, {"gw2", 0b1, 3}, {"gw2", 0, 2},
		{"gw3", 0, 0},
		{"gw9", 0b1, 0}, {"gw9", 0b1, 0}, // of no live member
		{"gw3", 0b1, 0}, {"gw3", 0b1, 1},
	} {
		r.due(s.member, s.mask)
		if got := r.lasting(members); got != s.want {
			t.Errorf("%d: %d parts, want %d", i, got, s.want)
		}
	}
	if got := r.lasting(members[:2]); got != 0 {
		t.Errorf("%d parts differ from a member that has left", got)
	}
	if r.forget("gw3"); r.lasting(members) != 0 {
		t.Error("a member that was forgotten counts")
	}
}

func TestGuard(t *testing.T) {
	g := guard{seen: map[string]running{}}
	tests := []struct {
		boot string
		up   time.Duration
		want bool
	}{
		{"one", time.Hour, true}, {"one", time.Hour, true}, {"one", time.Hour - maxLate, true},
		{"one", time.Hour - maxLate - 1, false}, {"one", 2 * time.Hour, true}, {"two", 0, true}, {"two", 1, true},
	}
	for i, tt := range tests {
		if got := g.fresh("gw1", tt.boot, tt.up); got != tt.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
