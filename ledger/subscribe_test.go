package ledger

import (
	"slices"
	"testing"
)

// TestSubscribers: all are told, in their order, of what is durable by then, and of nothing else.
func TestSubscribers(t *testing.T) {
	l, _ := one(t)
	other := start(t, t.TempDir(), "gw2", newWall())
	t.Cleanup(func() { must(t, other.Close()) })
	var told []string
	for _, name := range []string{"first ", "second "} {
		l.Subscribe(func(c Change) {
			for _, e := range c.Entries {
				kind := "live "
				if e.Deleted {
					kind = "deleted "
				}
				if now := get(t, l, e.Reference); now.Stamp != e.Stamp {
					t.Errorf("%s: told of %v, and it is %v", e.Name, e.Stamp, now.Stamp)
				}
				if !c.Here {
					kind = "learned " + kind
				}
				told = append(told, name+kind+e.Name)
			}
		})
	}
	var v1, v3 Entry
	blob := Reference{Repository: "team/app", Name: digest(9), Blob: true}
	content := func(n int) Content { return Content{Digest: digest(n), MediaType: mediaType} }
	for _, step := range []struct {
		name string
		do   func()
		want []string // of one subscriber
	}{
		{"a push", func() { v1 = push(t, l, tag("v1"), digest(1), "west") }, []string{"live v1"}},
		{"a push over another", func() {
			_, done, err := l.PushOver(v1, content(2), "west")
			must(t, err)
			if !done {
				t.Error("not done")
			}
		}, []string{"live v1"}},
		{"a push over what has changed", func() {
			_, done, err := l.PushOver(v1, content(1), "west")
			must(t, err)
			if done {
				t.Error("done")
			}
		}, nil},
		{"a confirmation", func() { must(t, l.Confirm(get(t, l, tag("v1")), "east")) }, nil},
		{"what was found", func() {
			_, err := l.Found(tag("v2"), content(3), "west")
			must(t, err)
		}, nil},
		{"what was found again", func() {
			_, err := l.Found(tag("v2"), content(3), "east")
			must(t, err)
		}, nil},
		{"a blob that is not deleted", func() { push(t, l, blob, blob.Name, "west") }, nil},
		{"a digest with its tag", func() { remove(t, l, Reference{Repository: "team/app", Name: digest(2)}, "west") },
			[]string{"deleted " + digest(2), "deleted v1"}},
		{"a tag by a stand-in", func() {
			push(t, l, tag("v5"), digest(5), "west")
			told = nil
			_, err := l.Untag(tag("v5"), digest(6), "west", Request{})
			must(t, err)
		}, []string{"deleted v5"}},
		{"another gateway's push", func() {
			v3 = push(t, other, tag("v3"), digest(4), "east")
			pull(t, other, l, 10)
		}, []string{"learned live " + digest(4), "learned live v3"}},
		{"another gateway's confirmation", func() {
			must(t, other.Confirm(v3, "north"))
			pull(t, other, l, 10)
		}, []string{"learned live v3"}},
		{"what is refused", func() {
			if _, err := l.Push(tag("v1"), Content{Digest: "none"}, "west", Request{}); err == nil {
				t.Error("accepted")
			}
		}, nil},
		{"what is merged again", func() { pull(t, other, l, 10) }, nil},
	} {
		told = nil
		step.do()
		var want []string
		for _, name := range []string{"first ", "second "} {
			for _, w := range step.want {
				want = append(want, name+w)
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: told of %q, not %q", step.name, told, want)
		}
	}
}
