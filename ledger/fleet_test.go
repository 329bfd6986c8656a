package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func incarnations(names map[string]string) (out []Replica) {
	for name, incarnation := range names {
		out = append(out, Replica{name, incarnation})
	}
	return out
}

func openWith(t *testing.T, dir, member string, w *wall, replicas map[string]string) *Ledger {
	t.Helper()
	l, err := attempt(dir, member, incarnations(replicas), w.now)
	must(t, err)
	l.db.NoSync = true
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// waitIndexed returns when the index of what replicas lack is as it should be.
func waitIndexed(t *testing.T, l *Ledger) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(time.Millisecond) {
		gone := false
		must(t, l.read(func(x *tx) {
			for _, k := range x.keys(bucketPending, "", "", 1<<20) {
				holder, _, _ := strings.Cut(k, separator)
				gone = gone || !slices.Contains(x.fleet.sorted, holder)
			}
		}))
		have := l.indexed.Load()
		if !gone && have != nil && slices.Equal(*have, l.fleet.Load().sorted) && len(l.reindex) == 0 {
			return
		}
		if time.Now().After(end) {
			meta := ""
			must(t, l.read(func(x *tx) {
				b := x.bucket(bucketMeta)
				meta = fmt.Sprintf("%s %s %s", b.Get([]byte(keyReplicas)), b.Get([]byte(keyFirst)), b.Get([]byte(keyIndexing)))
			}))
			t.Fatalf("the index is not finished: gone %v, have %v, want %v, waits %d, meta %s", gone, *have,
				l.fleet.Load().sorted, len(l.reindex), meta)
		}
	}
}

func wantConfirmed(t *testing.T, l *Ledger, what Reference, want ...string) {
	t.Helper()
	if got := get(t, l, what).Confirmed; !slices.Equal(got, want) {
		t.Errorf("%s is confirmed by %v, want %v", what.Name, got, want)
	}
}

func wantPending(t *testing.T, l *Ledger, replica string, want ...string) {
	t.Helper()
	if got := pending(t, l, replica); !slices.Equal(got, want) {
		t.Errorf("%s lacks %v, want %v", replica, got, want)
	}
}

// TestAnotherIncarnation: what a registry had, another one under its name is not taken to have; back at the first one,
// what that was confirmed to have counts again.
func TestAnotherIncarnation(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			dir, w := t.TempDir(), newWall()
			l := openWith(t, dir, "gw1", w, map[string]string{"east": "1", "west": "1"})
			become := func(replicas map[string]string) {
				t.Helper()
				if restart {
					must(t, l.Close())
					l = openWith(t, dir, "gw1", w, replicas)
				} else {
					must(t, l.Update(incarnations(replicas)))
				}
				waitIndexed(t, l)
				checkIntegrity(t, l)
			}
			e := push(t, l, tag("v1"), digest(1), "east")
			must(t, l.Confirm(e, "west"))
			wantConfirmed(t, l, tag("v1"), "east", "west")
			wantPending(t, l, "west", digest(1))

			old := l.Holder("west")
			become(map[string]string{"east": "1", "west": "2"})
			wantConfirmed(t, l, tag("v1"), "east")
			wantPending(t, l, "west", digest(1), "v1")
			wantPending(t, l, "east")
			must(t, l.Confirm(e, old)) // a copy that was begun before
			wantPending(t, l, "west", digest(1), "v1")
			must(t, l.Confirm(e, "west"))
			wantConfirmed(t, l, tag("v1"), "east", "west")
			wantPending(t, l, "west", digest(1))

			become(map[string]string{"east": "1", "north": "1"})
			wantConfirmed(t, l, tag("v1"), "east")
			wantPending(t, l, "north", digest(1), "v1")
			if _, _, err := l.Pending("west", "", 1); err == nil {
				t.Error("a replica that is gone is still asked about")
			}
			become(map[string]string{"east": "2"})
			wantConfirmed(t, l, tag("v1"))
			become(map[string]string{"east": "1"})
			wantConfirmed(t, l, tag("v1"), "east")
		})
	}
}

// TestNoIncarnation: rows from before there were any are of the one that is first seen, and of no later one.
func TestNoIncarnation(t *testing.T) {
	dir, w := t.TempDir(), newWall()
	l := openWith(t, dir, "gw1", w, map[string]string{"east": "", "west": ""})
	push(t, l, tag("v1"), digest(1), "east")
	must(t, l.submit(func(x *tx) error { return x.bucket(bucketMeta).Delete([]byte(keyFirst)) }))
	must(t, l.submit(func(x *tx) error { return x.deleteKey(bucketMeta, keyFirst) }))
	must(t, l.Close())
	for i, want := range [][]string{{"east"}, {"east"}, nil} {
		incarnation := []string{"1", "1", "2"}[i]
		l = openWith(t, dir, "gw1", w, map[string]string{"east": incarnation, "west": "1"})
		wantConfirmed(t, l, tag("v1"), want...)
		must(t, l.Close())
	}
}

// TestRenew: what is taken back is pending again on all gateways, and stays so after a restart.
func TestRenew(t *testing.T) {
	w, fleet := newWall(), map[string]string{"east": "1", "west": "1"}
	dirs, ledgers := []string{t.TempDir(), t.TempDir()}, make([]*Ledger, 2)
	for i := range ledgers {
		ledgers[i] = openWith(t, dirs[i], fmt.Sprintf("gw%d", i), w, fleet)
	}
	a, b := ledgers[0], ledgers[1]
	e := push(t, a, tag("v1"), digest(1), "east")
	must(t, a.Confirm(e, "west"))
	pull(t, a, b, 10)
	wantConfirmed(t, b, tag("v1"), "east", "west")

	w.advance(time.Second)
	before := a.Holder("west")
	must(t, a.Renew("west"))
	heard := 0
	b.Subscribe(func(Change) { heard++ })
	pull(t, a, b, 10)
	if heard != 0 {
		t.Error("a renewal was told of as if something had been pushed")
	}
	if a.Holder("west") == before || a.Holder("west") != b.Holder("west") {
		t.Errorf("%q became %q, and %q elsewhere", before, a.Holder("west"), b.Holder("west"))
	}
	for _, l := range ledgers {
		waitIndexed(t, l)
		wantConfirmed(t, l, tag("v1"), "east")
		wantPending(t, l, "west", digest(1), "v1")
		checkIntegrity(t, l)
	}
	must(t, b.Confirm(e, "west"))
	pull(t, b, a, 10)
	wantConfirmed(t, a, tag("v1"), "east", "west")
	names := must1(a.Repositories("", 10))(t)
	if !slices.Equal(names, []string{"team/app"}) {
		t.Errorf("repositories %v", names)
	}
	must(t, a.Close())
	again := openWith(t, dirs[0], "gw0", w, fleet)
	if again.Holder("west") != b.Holder("west") {
		t.Error("a restart has lost a renewal")
	}
	wantConfirmed(t, again, tag("v1"), "east", "west")
	if _, err := again.Push(Reference{Repository: renewals, Name: "west"}, Content{Digest: digest(1)}, "east",
		Request{}); err == nil {
		t.Error("a client can renew")
	}
}

// TestWhileItIsIndexed: writes meanwhile, and another change of the fleet, leave the index right.
func TestWhileItIsIndexed(t *testing.T) {
	l := openWith(t, t.TempDir(), "gw1", newWall(), map[string]string{"east": "1"})
	for i := range 3 * indexStep {
		push(t, l, tag(fmt.Sprintf("v%d", i)), digest(i), "east")
	}
	for round := range 5 {
		must(t, l.Update(incarnations(map[string]string{"east": "1", "west": fmt.Sprint(round % 3)})))
		for i := range 20 {
			must(t, l.Confirm(push(t, l, tag(fmt.Sprintf("v%d", i*round)), digest(i+round), "east"), "west"))
		}
	}
	waitIndexed(t, l)
	checkIntegrity(t, l)
	must(t, l.Update(incarnations(map[string]string{"east": "1"})))
	waitIndexed(t, l)
	checkIntegrity(t, l)
}

// TestElsewhereByIncarnation: who records for another gateway records which registry that one had it from.
func TestElsewhereByIncarnation(t *testing.T) {
	l := openWith(t, t.TempDir(), "gw1", newWall(), map[string]string{"east": "2"})
	for holder, want := range map[string][]string{"": {"east"}, "east@2": {"east"}, "east@1": nil, "west@2": {"east"}} {
		_, err := l.Record(Write{Act: ActPush, Reference: tag("v1"), Content: Content{Digest: digest(1)}, Replica: "east",
			Holder: holder}, 0)
		must(t, err)
		wantConfirmed(t, l, tag("v1"), want...)
	}
}

func TestSample(t *testing.T) {
	l := openWith(t, t.TempDir(), "gw1", newWall(), map[string]string{"east": "1", "west": "1"})
	if got := must1(l.Sample("east", 3))(t); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 20 {
		push(t, l, Reference{Repository: "team/app", Name: digest(i)}, digest(i), "east")
	}
	if got := must1(l.Sample("east", 3))(t); len(got) != 3 {
		t.Errorf("of manifests: %v", got)
	}
	push(t, l, tag("v1"), digest(1), "east")
	push(t, l, tag("v2"), digest(2), "west")
	got := must1(l.Sample("east", 3))(t)
	if len(got) != 1 || !reflect.DeepEqual(got[0], get(t, l, tag("v1"))) {
		t.Errorf("of tags: %v", got)
	}
}
