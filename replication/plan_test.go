package replication

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"pgregory.net/rapid"
)

// tag and digest are entries that some replicas have confirmed, written at a time.
func tag(name, digest string, at int64, confirmed ...string) ledger.Entry {
	return ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: name}, Digest: digest,
		Stamp: hlc.Stamp{WallMS: at}, Confirmed: confirmed}
}

func digest(digest string, at int64, confirmed ...string) ledger.Entry {
	return tag(digest, digest, at, confirmed...)
}

func deleted(e ledger.Entry) ledger.Entry { e.Deleted = true; return e }

// three is a fleet of a, b and c, in which everybody is up; b is nearer to a than c is.
func three(change ...func(f *Fleet)) Fleet {
	f := Fleet{Replicas: []Replica{
		{Name: "a", Up: true, Writable: true, Sources: []string{"b", "c"}},
		{Name: "b", Up: true, Writable: true, Sources: []string{"a", "c"}},
		{Name: "c", Up: true, Writable: true, Sources: []string{"b", "a"}},
	}, Assigned: []string{"a", "b", "c"}}
	for _, do := range change {
		do(&f)
	}
	return f
}

func on(name string, do func(r *Replica)) func(f *Fleet) {
	return func(f *Fleet) { do(f.replica(name)) }
}

func (t Task) String() string {
	var names []string
	for _, e := range t.Entries {
		names = append(names, e.Name)
	}
	s := fmt.Sprintf("%s %s", t.Action, strings.Join(names, "+"))
	if len(t.Sources) > 0 {
		s += " from " + strings.Join(t.Sources, ",")
	}
	return s
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name    string
		pending []ledger.Entry
		fleet   Fleet
		want    []string
	}{
		{"nothing", nil, three(), nil},
		{"nearest first", []ledger.Entry{digest("d:1", 1, "b", "c")}, three(), []string{"copy d:1 from b,c"}},
		{"only who has it", []ledger.Entry{digest("d:1", 1, "c")}, three(), []string{"copy d:1 from c"}},
		{"a tag with its digest", []ledger.Entry{tag("v1", "d:1", 2, "b"), digest("d:1", 1, "c")}, three(),
			[]string{"copy d:1+v1 from b,c"}},
		{"confirmed meanwhile", []ledger.Entry{digest("d:1", 1, "a", "b")}, three(), nil},
		{"oldest first", []ledger.Entry{digest("d:2", 2, "b"), digest("d:1", 1, "b"), digest("d:3", 3, "b")}, three(),
			[]string{"copy d:1 from b", "copy d:2 from b", "copy d:3 from b"}},
		{"tags before what they named", []ledger.Entry{digest("d:1", 1, "b"), tag("v1", "d:2", 2, "b")}, three(),
			[]string{"copy v1 from b", "copy d:1 from b"}},
		{"deletions first", []ledger.Entry{tag("v1", "d:1", 1, "b"), deleted(digest("d:2", 9, "b")),
			deleted(tag("v0", "d:2", 8, "b"))}, three(),
			[]string{"delete v0", "delete d:2", "copy v1 from b"}},
		{"source down", []ledger.Entry{digest("d:1", 1, "b", "c")}, three(on("b", func(r *Replica) { r.Up = false })),
			[]string{"copy d:1 from c"}},
		{"source offline", []ledger.Entry{digest("d:1", 1, "b")}, three(on("b", func(r *Replica) { r.Offline = true })),
			nil},
		{"source that takes no writes", []ledger.Entry{digest("d:1", 1, "b")},
			three(on("b", func(r *Replica) { r.Writable = false })), []string{"copy d:1 from b"}},
		{"source that the fleet lost", []ledger.Entry{digest("d:1", 1, "gone")}, three(), nil},
		{"target takes no writes", []ledger.Entry{digest("d:1", 1, "b"), deleted(digest("d:2", 2, "b"))},
			three(on("a", func(r *Replica) { r.Writable = false })), nil},
		{"target down", []ledger.Entry{digest("d:1", 1, "b")}, three(on("a", func(r *Replica) { r.Up = false })), nil},
		{"target offline", []ledger.Entry{digest("d:1", 1, "b")}, three(on("a", func(r *Replica) { r.Offline = true })),
			nil},
		{"target unknown", []ledger.Entry{digest("d:1", 1, "b")}, Fleet{}, nil},
		{"not our target", []ledger.Entry{digest("d:1", 1, "b")}, three(func(f *Fleet) { f.Assigned = []string{"b"} }),
			nil},
		{"our target", []ledger.Entry{digest("d:1", 1, "b")}, three(func(f *Fleet) { f.Assigned = []string{"a"} }),
			[]string{"copy d:1 from b"}},
		{"left out, but not its deletions", []ledger.Entry{digest("d:1", 1, "b"), deleted(digest("d:2", 1, "b"))},
			three(on("a", func(r *Replica) { r.LeftOut = func(s string) bool { return s == "app" } })),
			[]string{"delete d:2"}},
		{"one storage", []ledger.Entry{digest("d:1", 1, "b"), deleted(digest("d:2", 2, "b")), digest("d:3", 3, "c")},
			three(on("a", func(r *Replica) { r.Storage = "s" }), on("b",
				func(r *Replica) { r.Storage = "s"; r.Up = false })),
			[]string{"confirm d:1", "confirm d:2", "copy d:3 from c"}},
		{"a blob that was pushed again",
			[]ledger.Entry{{Reference: ledger.Reference{Repository: "app", Name: "d:1", Blob: true}, Digest: "d:1",
				Confirmed: []string{"b"}}}, three(), nil},
	} {
		var got []string
		for _, task := range plan(c.pending, "a", c.fleet) {
			got = append(got, task.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestPlanBlob(t *testing.T) {
	for _, c := range []struct {
		name  string
		fleet Fleet
		want  []string
	}{
		{"to all others", three(), []string{"b", "c"}},
		{"to ours", three(func(f *Fleet) { f.Assigned = []string{"c"} }), []string{"c"}},
		{"it is here", three(func(f *Fleet) { f.Assigned = []string{"a"} }), nil},
		{"not to who is down, or takes no writes",
			three(on("b", func(r *Replica) { r.Up = false }), on("c", func(r *Replica) { r.Writable = false })), nil},
		{"not from who is offline", three(on("a", func(r *Replica) { r.Offline = true })), nil},
		{"one storage", three(on("a", func(r *Replica) { r.Storage = "s" }),
			on("b", func(r *Replica) { r.Storage = "s" })),
			[]string{"c"}},
		{"left out", three(on("b", func(r *Replica) { r.LeftOut = func(string) bool { return true } })), []string{"c"}},
	} {
		if got := planBlob(Blob{"app", "d:1", "a"}, c.fleet); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestPlanRules: what must hold of any plan.
func TestPlanRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c"}
		f := three()
		for i := range f.Replicas {
			r := &f.Replicas[i]
			r.Up, r.Offline, r.Writable = rapid.Bool().Draw(t, "up"), rapid.Bool().Draw(t, "offline"),
				rapid.Bool().Draw(t, "writable")
			r.Storage = rapid.SampledFrom([]string{"", "", "s"}).Draw(t, "storage")
		}
		f.Assigned = rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "mine")
		var pending []ledger.Entry
		for i := range rapid.IntRange(0, 8).Draw(t, "entries") {
			e := tag(fmt.Sprintf("v%d", i), rapid.SampledFrom([]string{"d:1", "d:2"}).Draw(t, "digest"),
				rapid.Int64Range(0, 3).Draw(t, "at"),
				rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "confirmed")...)
			e.Deleted = rapid.Bool().Draw(t, "deleted")
			pending = append(pending, e)
		}
		for _, name := range names {
			done := map[taskKey]bool{}
			tasks := plan(pending, name, f)
			if !slices.IsSortedFunc(tasks, compareTasks) {
				t.Fatalf("out of order: %v", tasks)
			}
			for _, task := range tasks {
				to := f.replica(name)
				if done[task.key()] || !to.Up || to.Offline || !to.Writable || !slices.Contains(f.Assigned, name) {
					t.Fatalf("%v to %+v, twice: %v", task, to, done[task.key()])
				}
				done[task.key()] = true
				for _, s := range task.Sources {
					if from := f.replica(s); s == name || !from.Up || from.Offline ||
						from.Storage != "" && from.Storage == to.Storage {
						t.Fatalf("%v from %+v to %+v", task, from, to)
					}
				}
				if (task.Action == Copy) != (len(task.Sources) > 0) {
					t.Fatalf("%v", task)
				}
			}
		}
	})
}
