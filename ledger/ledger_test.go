package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
)

func TestPush(t *testing.T) {
	l, _ := one(t)
	e := push(t, l, tag("v1"), digest(1), "east")
	want := Entry{Reference: tag("v1"), Digest: digest(1), MediaType: mediaType, Size: 1234, Replica: "east",
		Stamp: hlc.Stamp{WallMS: epoch.UnixMilli(), Logical: 0, Member: "gw1"}, Confirmed: []string{"east"}}
	if !reflect.DeepEqual(e, want) || !reflect.DeepEqual(get(t, l, tag("v1")), want) {
		t.Errorf("pushed %v, got %v", e, get(t, l, tag("v1")))
	}
	if got := get(t, l, tag(digest(1))); got.Digest != digest(1) || got.Stamp != e.Stamp {
		t.Errorf("the digest is %v", got)
	}
	if _, known, err := l.Get(tag("v2")); known || err != nil {
		t.Error("known what nobody pushed")
	}
	again := push(t, l, tag("v1"), digest(2), "west")
	if again.Stamp.Compare(e.Stamp) <= 0 || get(t, l, tag("v1")).Digest != digest(2) ||
		get(t, l, tag(digest(1))).Deleted {
		t.Errorf("moved to %v", get(t, l, tag("v1")))
	}
	for _, what := range []Reference{{}, {"app", "", false}, {"a b", "v1", false}, {"app", "sha256:", false},
		{"app", "v1", true}} {
		_, err := l.Push(what, Content{Digest: digest(1)}, "east", Request{})
		wantError(t, err, ErrInvalid)
		_, err = l.Delete(what, "east", Request{})
		wantError(t, err, ErrInvalid)
	}
	_, err := l.Push(tag(digest(1)), Content{Digest: digest(2)}, "east", Request{})
	wantError(t, err, ErrInvalid)
	wantError(t, l.Confirm(e, ""), ErrInvalid)
	checkIntegrity(t, l)
}

func TestTagged(t *testing.T) {
	l, _ := one(t)
	for name, d := range map[string]string{"v1": digest(1), "v2": digest(1), "v3": digest(3), "moved": digest(1),
		"gone": digest(1)} {
		push(t, l, tag(name), d, "east")
	}
	push(t, l, tag("moved"), digest(3), "east")
	push(t, l, Reference{Repository: "elsewhere", Name: "v1"}, digest(1), "east")
	remove(t, l, tag("gone"), "east")
	for limit, want := range map[int]string{9: "v1 v2 ", 1: "v1 "} {
		names := ""
		for _, e := range must1(l.Tagged("team/app", digest(1), limit))(t) {
			names += e.Name + " "
		}
		if names != want {
			t.Errorf("%d: %s", limit, names)
		}
	}
}

func TestDelete(t *testing.T) {
	l, _ := one(t)
	for _, name := range []string{"v1", "v2", "other"} {
		push(t, l, tag(name), digest(1), "east")
	}
	push(t, l, tag("v3"), digest(3), "east")
	push(t, l, tag("other"), digest(3), "east")
	push(t, l, Reference{Repository: "elsewhere", Name: "v1"}, digest(1), "east")
	deleted := remove(t, l, tag(digest(1)), "east")
	var names []string
	for _, e := range deleted {
		names = append(names, e.Name)
		if !e.Deleted || !slices.Equal(e.Confirmed, []string{"east"}) || e.Stamp.Compare(deleted[0].Stamp) > 0 {
			t.Errorf("deleted %v", e)
		}
	}
	if !slices.Equal(names, []string{digest(1), "v1", "v2"}) {
		t.Errorf("deleted %v", names)
	}
	if get(t, l, tag("other")).Deleted || get(t, l, tag("v3")).Deleted || get(t, l,
		Reference{Repository: "elsewhere", Name: "v1"}).Deleted {
		t.Error("what names another was deleted")
	}
	if e := remove(t, l, tag("v3"), "west"); len(e) != 1 || e[0].Digest != digest(3) ||
		get(t, l, tag(digest(3))).Deleted {
		t.Errorf("a tag's deletion took %v", e)
	}
	if e := remove(t, l, tag("unknown"), "west"); len(e) != 1 || e[0].Digest != "" {
		t.Errorf("deleted %v", e)
	}
	push(t, l, tag("v1"), digest(1), "west")
	if get(t, l, tag("v1")).Deleted || get(t, l, tag(digest(1))).Deleted || !get(t, l, tag("v2")).Deleted {
		t.Error("a push after a delete does not win")
	}
	checkIntegrity(t, l)
}

func TestBlobs(t *testing.T) {
	l, w := one(t)
	blob := Reference{"team/app", digest(1), true}
	if e, err := l.Push(blob, Content{Digest: digest(1), Size: 1}, "east", Request{}); err != nil || e.Name != "" {
		t.Errorf("recorded %v, %v", e, err)
	}
	push(t, l, tag("v1"), digest(1), "east")
	remove(t, l, blob, "east")
	if !get(t, l, blob).Deleted || get(t, l, tag("v1")).Deleted || get(t, l, tag(digest(1))).Deleted {
		t.Error("a blob's deletion is a manifest's")
	}
	if got := pending(t, l, "west"); !slices.Equal(got, []string{digest(1), "v1", digest(1)}) {
		t.Errorf("pending %v", got)
	}
	if e := push(t, l, blob, digest(1), "west"); e.Deleted || !e.Blob {
		t.Errorf("pushed %v", e)
	}
	if got := pending(t, l, "north"); !slices.Equal(got, []string{digest(1), "v1"}) {
		t.Errorf("pending %v", got)
	}
	if list, err := l.List("team/app", "", 9); err != nil || len(list) != 2 {
		t.Errorf("listed %v", list)
	}
	w.advance(time.Hour)
	if n, err := l.Compact(time.Minute); n != 1 || err != nil {
		t.Errorf("compacted %d, %v", n, err)
	}
	checkIntegrity(t, l)
}

func TestConfirm(t *testing.T) {
	l, _ := one(t)
	old := push(t, l, tag("v1"), digest(1), "east")
	e := push(t, l, tag("v1"), digest(2), "east")
	must(t, l.Confirm(old, "west"))
	if got := get(t, l, tag("v1")).Confirmed; !slices.Equal(got, []string{"east"}) {
		t.Errorf("an older write's confirmation counts: %v", got)
	}
	before, _ := l.Vector()
	for range 2 {
		must(t, l.Confirm(e, "west"))
	}
	if got := get(t, l, tag("v1")).Confirmed; !slices.Equal(got, []string{"east", "west"}) {
		t.Errorf("confirmed %v", got)
	}
	if after, _ := l.Vector(); after[onlyKey(after)] != before[onlyKey(before)]+1 {
		t.Error("a repeated confirmation is a change")
	}
	if got := pending(t, l, "west"); !slices.Equal(got, []string{digest(1), digest(2)}) {
		t.Errorf("pending %v", got)
	}
	if got := pending(t, l, "east"); got != nil {
		t.Errorf("pending where it was pushed: %v", got)
	}
	_, _, err := l.Pending("nowhere", "", 1)
	wantError(t, err, ErrInvalid)
	checkIntegrity(t, l)
}

func onlyKey(m map[string]uint64) string {
	for k := range m {
		return k
	}
	return ""
}

func TestPages(t *testing.T) {
	l, _ := one(t)
	var names []string
	for i := range 25 {
		r := fmt.Sprintf("team/app%02d", i)
		names = append(names, r)
		for _, v := range []string{"v1", "v2", "v3"} {
			push(t, l, Reference{Repository: r, Name: v}, digest(i), "east")
		}
		remove(t, l, Reference{r, digest(99), true}, "east")
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := l.Repositories(after, 4)
		must(t, err)
		if got = append(got, page...); len(page) < 4 {
			break
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("repositories %v", got)
	}
	var listed []string
	for after := ""; ; after = listed[len(listed)-1] {
		page, err := l.List("team/app07", after, 3)
		must(t, err)
		for _, e := range page {
			listed = append(listed, e.Name)
		}
		if len(page) < 3 {
			break
		}
	}
	if !slices.Equal(listed, []string{digest(7), "v1", "v2", "v3"}) {
		t.Errorf("listed %v", listed)
	}
	if got := pending(t, l, "west"); len(got) != 25*5 {
		t.Errorf("%d pending", len(got))
	}
}

func TestReopen(t *testing.T) {
	dir, w := t.TempDir(), newWall()
	l := start(t, dir, "gw1", w)
	e := push(t, l, tag("v1"), digest(1), "east")
	must(t, l.Confirm(e, "west"))
	rows, vector := everything(t, l, true), must1(l.Vector())(t)
	must(t, l.Close())
	w.advance(-time.Hour)
	l = start(t, dir, "gw1", w)
	if everything(t, l, true) != rows || !reflect.DeepEqual(must1(l.Vector())(t), vector) {
		t.Error("it remembers something else")
	}
	if again := push(t, l, tag("v1"), digest(2), "east"); again.Stamp.Compare(e.Stamp) <= 0 {
		t.Error("time went back")
	}
	must(t, l.Close())
	must(t, l.Close())
	_, _, err := l.Get(tag("v1"))
	wantError(t, err, ErrUnavailable)
	_, err = l.Push(tag("v1"), Content{Digest: digest(1)}, "east", Request{})
	wantError(t, err, ErrUnavailable)

	l, err = attempt(dir, "gw1", Named("south", "west"), w.now)
	must(t, err)
	if got := pending(t, l, "south"); !slices.Equal(got, []string{digest(1), digest(2), "v1"}) {
		t.Errorf("a new replica lacks %v", got)
	}
	checkIntegrity(t, l)
	must(t, l.Close())
	l, err = attempt(dir, "gw1", nil, w.now)
	must(t, err)
	checkIntegrity(t, l)
	must(t, l.Close())
	if _, err := attempt(dir, "g w", nil, w.now); err == nil {
		t.Error("a bad name was taken")
	}
	if _, err := attempt(dir, "gw", Named(""), w.now); err == nil {
		t.Error("a bad replica was taken")
	}
}

func must1[T any](v T, err error) func(t failer) T {
	return func(t failer) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func TestTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l := start(t, "", "gw1", newWall())
	push(t, l, tag("v1"), digest(1), "east")
	must(t, l.Close())
	if _, err := os.Stat(filepath.Dir(l.path)); !os.IsNotExist(err) {
		t.Error("it is still there")
	}
}

func TestCompact(t *testing.T) {
	l, w := one(t)
	for i := range compactStep + 10 {
		push(t, l, tag(fmt.Sprint("v", i)), digest(i), "east")
		for _, e := range remove(t, l, tag(fmt.Sprint("v", i)), "east") {
			if i%2 == 0 {
				must(t, l.Confirm(e, "west"))
				must(t, l.Confirm(e, "north"))
			}
		}
	}
	if n := must1(l.Compact(time.Minute))(t); n != 0 {
		t.Errorf("%d young ones removed", n)
	}
	w.advance(time.Hour)
	young := remove(t, l, tag("v0"), "east")[0]
	must(t, l.Confirm(young, "west"))
	must(t, l.Confirm(young, "north"))
	if n := must1(l.Compact(time.Minute))(t); n != (compactStep+10)/2-1 {
		t.Errorf("%d removed", n)
	}
	if _, known, _ := l.Get(tag("v2")); known {
		t.Error("still there")
	}
	if !get(t, l, tag("v0")).Deleted || !get(t, l, tag("v1")).Deleted || get(t, l, tag(digest(2))).Name == "" {
		t.Error("too much was removed")
	}
	checkIntegrity(t, l)
}

// TestEventsOfOneWrite: a tag's push writes its digest, too, and is one event, here and for each replica that comes to
// have it.
func TestEventsOfOneWrite(t *testing.T) {
	l, _ := one(t)
	by := Request{Host: "registry.contoso.com", Method: "PUT", UserAgent: strings.Repeat("a", 255) + "é"}
	const chart = "application/vnd.cncf.helm.config.v1+json"
	e, err := l.Push(tag("v1"), Content{Digest: digest(1), MediaType: mediaType, Config: chart, Size: 3}, "east", by)
	must(t, err)
	must(t, l.Confirm(e, "west"))
	must(t, l.Confirm(get(t, l, tag(digest(1))), "west"))
	_, err = l.Push(tag(digest(2)), Content{Digest: digest(2), Implied: true}, "east", Request{})
	must(t, err)
	_, err = l.Delete(tag(digest(1)), "east", Request{Method: "DELETE"})
	must(t, err)
	var got []string
	for _, e := range must1(l.Events(0, 9))(t) {
		got = append(got, fmt.Sprintf("%s %.9s %s %s %d", e.Kind, e.Entry.Name, e.Entry.Config, e.Request.Method,
			len(e.Request.UserAgent)))
	}
	want := []string{"pushed v1 " + chart + " PUT 255", "confirmed v1 " + chart + "  0",
		"deleted sha256:00 " + chart + " DELETE 0", "deleted v1 " + chart + " DELETE 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEvents(t *testing.T) {
	l, _ := one(t)
	other := start(t, t.TempDir(), "gw2", newWall())
	defer other.Close()
	push(t, other, tag("theirs"), digest(9), "west")
	e := push(t, l, tag("v1"), digest(1), "east")
	pull(t, other, l, 10)
	must(t, l.Confirm(e, "west"))
	must(t, l.Confirm(e, "west"))
	remove(t, l, tag(digest(1)), "north")
	describe := func(after uint64, limit int) (out []string) {
		events, err := l.Events(after, limit)
		must(t, err)
		for _, e := range events {
			out = append(out, fmt.Sprintf("%d %s %.9s %s", e.Number, e.Kind, e.Entry.Name, e.Replica))
		}
		return out
	}
	want := []string{"1 pushed v1 east", "2 confirmed v1 west", "3 deleted sha256:00 north", "4 deleted v1 north"}
	if got := describe(0, 9); !slices.Equal(got, want) {
		t.Errorf("events %q", got)
	}
	if got := describe(1, 2); !slices.Equal(got, want[1:3]) {
		t.Errorf("events after the first %q", got)
	}
	must(t, l.Trim(3, []uint64{2, 3}))
	if got := describe(0, 9); !slices.Equal(got, []string{want[0], want[3]}) {
		t.Errorf("events left %q", got)
	}
	if read := must1(l.Read())(t); read != 3 {
		t.Errorf("read up to %d", read)
	}
	must(t, l.Trim(4, []uint64{1, 4, 9}))
	push(t, l, tag("v1"), digest(1), "east")
	if got := describe(0, 9); !slices.Equal(got, []string{"5 pushed v1 east"}) {
		t.Errorf("numbers begin anew: %q", got)
	}
	must(t, l.submit(func(t *tx) error {
		for range 10 {
			if err := t.log(bucketEvents, wireEvent{}, 3); err != nil {
				return err
			}
		}
		return nil
	}))
	if got := describe(0, 99); len(got) != 3 || !strings.HasPrefix(got[2], "15 ") {
		t.Errorf("kept %q", got)
	}
}
