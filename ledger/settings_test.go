package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// want is what settings are to be: KEY=VALUE, or -KEY.
func wantSettings(t failer, l *Ledger, prefix string, want ...string) {
	t.Helper()
	all, err := l.Settings(prefix)
	must(t, err)
	var have []string
	for _, s := range all {
		if s.Deleted {
			have = append(have, "-"+s.Key)
			continue
		}
		have = append(have, s.Key+"="+s.Value)
	}
	if !slices.Equal(have, want) {
		t.Fatal(fmt.Sprintf("%q, want %q", have, want))
	}
}

// TestSettings: gateways come to agree on what was set last, whatever they heard first, and nobody takes it for
// content.
func TestSettings(t *testing.T) {
	all, walls := several(t, 3)
	a, b := all[0], all[1]
	told := 0
	b.Subscribe(func(Change) { told++ })
	must(t, a.Set(Setting{Key: "home", Value: "west"}, Setting{Key: "replica/west", Value: `{"bias": 1}`}))
	together(t, all)
	for _, l := range all {
		wantSettings(t, l, "", "home=west", `replica/west={"bias": 1}`)
		wantSettings(t, l, "replica/", `replica/west={"bias": 1}`)
		wantSettings(t, l, "x")
		select {
		case <-l.SettingsChanged():
		default:
			t.Error("no signal")
		}
		select {
		case <-l.SettingsChanged():
			t.Error("two signals")
		default:
		}
	}
	// On two sides of a cut: the same key, another one, and a deletion.
	walls[1].advance(time.Second)
	must(t, a.Set(Setting{Key: "home", Value: "east"}, Setting{Key: "only-a", Value: "1"}))
	must(t, b.Set(Setting{Key: "home", Value: "north"}, Setting{Key: "replica/west", Deleted: true}))
	together(t, all)
	agree(t, all)
	for _, l := range all {
		wantSettings(t, l, "", "home=north", "only-a=1", "-replica/west")
		if n, err := l.Compact(0); err != nil || n != 0 {
			t.Errorf("%d deletions were forgotten, %v", n, err)
		}
		if names := must1(l.Repositories("", 9))(t); len(names) != 0 {
			t.Errorf("repositories %q", names)
		}
		if tags := must1(l.Sample("west", 9))(t); len(tags) != 0 {
			t.Errorf("content %v", tags)
		}
		checkIntegrity(t, l)
	}
	if told != 0 {
		t.Error("a setting was told of as if something had been pushed")
	}
	if _, total, err := a.Conflicts(0, 9); err != nil || total != 0 {
		t.Errorf("%d conflicts, %v", total, err)
	}
	must(t, a.ForgetSettings("only-a", "none"))
	wantSettings(t, a, "", "home=north", "-replica/west")
	together(t, all)
	wantSettings(t, a, "", "home=north", "-replica/west")
}

// TestSettingsAreKept: what was acknowledged is there after a restart, and an old copy of the file brings back nothing.
func TestSettingsAreKept(t *testing.T) {
	w, dir := newWall(), t.TempDir()
	l := start(t, dir, "gw1", w)
	must(t, l.Set(Setting{Key: "token/1", Value: "hash"}))
	must(t, l.Close())
	l = start(t, dir, "gw1", w)
	wantSettings(t, l, "", "token/1=hash")
	other := start(t, t.TempDir(), "gw2", w)
	defer other.Close()
	together(t, []*Ledger{l, other})
	must(t, other.Set(Setting{Key: "token/1", Deleted: true}))
	must(t, l.Set(Setting{Key: "another", Value: "x"})) // what the old copy writes has the old copy's numbers
	together(t, []*Ledger{l, other})
	for _, of := range []*Ledger{l, other} {
		wantSettings(t, of, "", "another=x", "-token/1")
	}
	must(t, l.Close())
}

func TestSettingsRefused(t *testing.T) {
	l, _ := one(t)
	for _, s := range []Setting{
		{Key: ""}, {Key: "a b"}, {Key: "a:b"}, {Key: "\x00"}, {Key: strings.Repeat("k", maxReference+1)},
		{Key: "k", Value: strings.Repeat("v", maxValue+1)}, {Key: "k", Value: "v", Deleted: true},
		{Key: "k", Value: "\xff"},
	} {
		if err := l.Set(Setting{Key: "good", Value: "v"}, s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40q: %v", s.Key, err)
		}
	}
	wantSettings(t, l, "")
	what := Reference{Repository: settings, Name: "home"}
	if _, err := l.Push(what, Content{Digest: digest(1)}, "west", Request{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a push to %s: %v", settings, err)
	}
	row := live(1, "a", 1, "east")
	row.Value = "v"
	if row.check() == nil {
		t.Error("a tag with a value")
	}
}
