package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/fairlead-gateway/fairlead/hlc"
	"pgregory.net/rapid"
)

func at(wall int64, member string) hlc.Stamp { return hlc.Stamp{WallMS: wall, Member: member} }

func live(wall int64, member string, n int, confirmed ...string) Row {
	return Row{Entry: Entry{Reference: tag("v1"), Digest: digest(n), Replica: "east", Stamp: at(wall, member),
		Confirmed: confirmed}}
}

func dead(r Row) Row {
	r.Deleted = true
	return r
}

func deletedWithDigestAt(r Row, ms int64) Row {
	r.DigestDeletedMS = ms
	return r
}

func changed(r Row, origin string, n uint64) Row {
	r.Changes = map[string]uint64{origin: n}
	return r
}

func seen(r Row, stamps ...hlc.Stamp) Row {
	r.Seen = stamps
	return r
}

func TestMerge(t *testing.T) {
	tests := []struct {
		name       string
		a, b, want Row
	}{
		{"later wins", live(1, "a", 1, "east"), live(2, "b", 2, "west"), live(2, "b", 2, "west")},
		{"same time, by name", live(1, "b", 1, "east"), live(1, "a", 2, "west"), live(1, "b", 1, "east")},
		{"a tombstone is a write", live(1, "a", 1, "east"), dead(live(2, "a", 1, "west")),
			dead(live(2, "a", 1, "west"))},
		{"a push after it beats it", dead(live(2, "a", 1, "west")), live(3, "b", 1, "east"), live(3, "b", 1, "east")},
		{"confirmations of one write", live(1, "a", 1, "east", "west"), live(1, "a", 1, "east", "north"),
			live(1, "a", 1, "east", "north", "west")},
		{"not those of an earlier one", live(1, "a", 1, "east", "west"), live(2, "a", 1, "east"),
			live(2, "a", 1, "east")},
		{"changes of one write", changed(live(1, "a", 1), "o", 3), changed(live(1, "a", 1), "o", 2),
			changed(live(1, "a", 1), "o", 3)},
		{"nothing of an earlier write's changes", changed(live(1, "a", 1), "o", 3), changed(live(2, "a", 1), "p", 1),
			changed(live(2, "a", 1), "p", 1)},
		{"the last of each member", seen(live(9, "a", 1), at(1, "b"), at(2, "c")), seen(live(9, "a", 1), at(3, "b")),
			seen(live(9, "a", 1), at(2, "c"), at(3, "b"))},
		{"the later of two deletions of its digest", deletedWithDigestAt(dead(live(1, "a!", 1)), 5),
			deletedWithDigestAt(dead(live(1, "a!", 1)), 7), deletedWithDigestAt(dead(live(1, "a!", 1)), 7)},
		{"one stamp, two digests", live(1, "a", 1), live(1, "a", 2), live(1, "a", 2)},
		{"one stamp, deleted or not", dead(live(1, "a", 1)), live(1, "a", 2), dead(live(1, "a", 1))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []Row{Merge(tt.a, tt.b), Merge(tt.b, tt.a)} {
				if string(got.encode()) != string(tt.want.encode()) {
					t.Errorf("got %s, want %s", got.encode(), tt.want.encode())
				}
			}
		})
	}
}

func drawStamp(t *rapid.T, label string) hlc.Stamp {
	return hlc.Stamp{WallMS: rapid.Int64Range(0, 3).Draw(t, label), Logical: rapid.Uint32Range(0, 1).Draw(t, "logical"),
		Member: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "member")}
}

func drawRow(t *rapid.T, label string) Row {
	names := func(most int, label string) []string {
		return union(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%s%03d", label,
				rapid.IntRange(0, 400).Draw(t, "n"))
		}), 0, most).Draw(t, label), nil)
	}
	r := Row{Entry: Entry{Reference: tag("v1"), Digest: digest(rapid.IntRange(1, 2).Draw(t, "digest")),
		MediaType: rapid.SampledFrom([]string{"", "x"}).Draw(t, "type"),
		Config:    rapid.SampledFrom([]string{"", "x"}).Draw(t, "config"), Implied: rapid.Bool().Draw(t, "implied"),
		Size: rapid.Int64Range(0, 1).Draw(t, "size"), Replica: rapid.SampledFrom(regions).Draw(t, "replica"),
		Stamp: drawStamp(t, label), Deleted: rapid.Bool().Draw(t, "deleted"),
		DigestDeletedMS: rapid.Int64Range(0, 2).Draw(t, "digest deleted"),
		Confirmed:       bounded(names(300, "r"), maxConfirmed)}}
	for _, m := range bounded(names(100, "m"), maxSeen) {
		r.Seen = append(r.Seen, at(rapid.Int64Range(0, 3).Draw(t, "seen"), m))
	}
	r.Seen = mergeSeen(r.Seen, nil)
	r.Changes = map[string]uint64{}
	for _, o := range bounded(names(300, "o"), maxChanges) {
		r.Changes[o] = rapid.Uint64Range(1, 3).Draw(t, "change")
	}
	return r
}

func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawRow(t, "a"), drawRow(t, "b"), drawRow(t, "c")
		same := func(what string, a, b Row) {
			if string(a.encode()) != string(b.encode()) {
				t.Fatalf("not %s: %s, %s", what, a.encode(), b.encode())
			}
		}
		same("commutative", Merge(a, b), Merge(b, a))
		same("associative", Merge(Merge(a, b), c), Merge(a, Merge(b, c)))
		same("idempotent", Merge(a, a), a)
		same("absorbing", Merge(Merge(a, b), a), Merge(a, b))
		if err := Merge(a, b).check(); err != nil {
			t.Fatal(err)
		}
	})
}

// Nobody's write comes between a tag's and its tombstone.
func TestBuriedFollowsAtOnce(t *testing.T) {
	s := at(5, "gw")
	for _, next := range []hlc.Stamp{at(5, "gw-1"), at(5, "gw1"), at(5, "h"), {WallMS: 5, Logical: 1, Member: "a"},
		at(6, "a")} {
		e := Entry{Stamp: tombstoneStamp(s)}
		if b := e.Stamp; b.Compare(s) <= 0 || b.Compare(next) >= 0 || !e.DeletedWithDigest() || e.Gateway() != "gw" {
			t.Errorf("%v is not between %v and %v", e.Stamp, s, next)
		}
	}
}

func TestOverrules(t *testing.T) {
	tests := []struct {
		name     string
		row, old Row
		want     bool
	}{
		{"it knew", seen(live(2, "b", 2), at(1, "a")), live(1, "a", 1), false},
		{"it knew a later one of the same member", seen(live(5, "b", 2), at(3, "a")), live(1, "a", 1), false},
		{"it knew an earlier one", seen(live(5, "b", 2), at(1, "a")), live(2, "a", 1), true},
		{"it knew nothing", live(2, "b", 2), live(1, "a", 1), true},
		{"its own", live(2, "a", 2), live(1, "a", 1), false},
		{"the same digest", live(2, "b", 1), live(1, "a", 1), false},
		{"a tombstone lost", live(2, "b", 2), dead(live(1, "a", 1)), false},
		{"a tombstone won over another digest", dead(live(2, "b", 2)), live(1, "a", 1), true},
		{"it lost", live(1, "b", 2), live(2, "a", 1), false},
	}
	for _, tt := range tests {
		if got := tt.row.overrules(tt.old); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestFollow(t *testing.T) {
	old := seen(live(5, "b", 1), at(1, "a"), at(2, "c"))
	if got := seenBefore(old, "a"); !slices.Equal(got, []hlc.Stamp{at(2, "c"), at(5, "b")}) {
		t.Errorf("%v", got)
	}
	if got := seenBefore(Row{}, "a"); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 2 * maxSeen {
		old.Seen = seenBefore(old, "a")
		old.Stamp = at(int64(10+i), fmt.Sprint("m", i))
	}
	if len(old.Seen) != maxSeen || old.Seen[0].WallMS != int64(10+maxSeen-1) {
		t.Errorf("kept %d from %v", len(old.Seen), old.Seen[0])
	}
}

func TestIndexed(t *testing.T) {
	key := func(r Row) string { return r.key() }
	manifest := live(7, "a", 1, "east")
	manifest.Name = manifest.Digest
	blob := manifest
	blob.Blob = true
	named := changed(live(7, "a", 1, "east", "west"), "gw1/01", 3)
	tests := []struct {
		name string
		row  Row
		want []indexKey
	}{
		{"a tag", named, []indexKey{{bucketChanges, "gw1/01\x00" + number(3) + key(named)},
			{bucketPending, "north\x00" + key(named)}, {bucketTags, "team/app\x00" + digest(1) + "\x00v1"}}},
		{"a manifest", manifest, []indexKey{{bucketPending, "north\x00" + key(manifest)},
			{bucketPending, "west\x00" + key(manifest)}}},
		{"a tombstone", dead(live(7, "a", 1, regions...)), []indexKey{{bucketOld, number(7) + "team/app\x00v1"}}},
		{"a blob", blob, []indexKey{{bucketOld, number(7) + "team/app\x01" + digest(1)}}},
		{"a blob's tombstone", dead(blob), []indexKey{{bucketPending, "north\x00" + key(blob)},
			{bucketPending, "west\x00" + key(blob)}, {bucketOld, number(7) + key(blob)}}},
	}
	for _, tt := range tests {
		if got := indexed(tt.row, newFleet(Named(regions...), nil, nil)); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if _, _, ok := changeOf("gw1/01\x00"+number(3)+key(named), "gw1/02"); ok {
		t.Error("of another origin")
	}
	if n, k, ok := changeOf("gw1/01\x00"+number(3)+key(named), "gw1/01"); n != 3 || k != key(named) || !ok {
		t.Error("a change's place cannot be read")
	}
}

func TestCheck(t *testing.T) {
	long := func(n int) string { return string(make([]byte, 0, n)) + fmt.Sprintf("%0*d", n, 0) }
	good := Row{Entry: Entry{Reference: Reference{"app", "v1", false}, Digest: digest(1), MediaType: mediaType, Size: 1,
		Replica: "east",
		Stamp:   at(1, "a"), Confirmed: []string{"east"}}, Changes: map[string]uint64{"gw1/01": 1}}
	must(t, good.check())
	for name, spoil := range map[string]func(*Row){
		"no repository":       func(r *Row) { r.Repository = "" },
		"long repository":     func(r *Row) { r.Repository = long(256) },
		"a separator":         func(r *Row) { r.Repository = "a\x00b" },
		"no name":             func(r *Row) { r.Name = "" },
		"long name":           func(r *Row) { r.Name = long(301) },
		"half a digest":       func(r *Row) { r.Name, r.Digest = "sha256:", "sha256:" },
		"another digest":      func(r *Row) { r.Name = digest(2) },
		"no digest":           func(r *Row) { r.Digest = "" },
		"a blob with a tag":   func(r *Row) { r.Blob = true },
		"long media type":     func(r *Row) { r.MediaType = long(256) },
		"long config":         func(r *Row) { r.Config = long(256) },
		"less than nothing":   func(r *Row) { r.Size = -1 },
		"no replica":          func(r *Row) { r.Replica = "" },
		"no member":           func(r *Row) { r.Stamp.Member = "" },
		"before time":         func(r *Row) { r.Stamp.WallMS = -1 },
		"long replica":        func(r *Row) { r.Confirmed = []string{long(65)} },
		"unsorted":            func(r *Row) { r.Confirmed = []string{"b", "a"} },
		"confirmed too often": func(r *Row) { r.Confirmed = slices.Repeat([]string{"a"}, maxConfirmed+1) },
		"seen too much":       func(r *Row) { r.Seen = slices.Repeat([]hlc.Stamp{at(1, "a")}, maxSeen+1) },
		"seen nobody":         func(r *Row) { r.Seen = []hlc.Stamp{{}} },
		"a long origin":       func(r *Row) { r.Changes = map[string]uint64{long(maxOrigin + 1): 1} },
	} {
		r := good
		if spoil(&r); r.check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
