package audit

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

func d(n int) string { return fmt.Sprintf("sha256:%064d", n) }

func entry(name, digest string, confirmed ...string) ledger.Entry {
	return ledger.Entry{Reference: ledger.Reference{Repository: "app", Name: name}, Digest: digest,
		Stamp: hlc.Stamp{WallMS: 1}, Confirmed: confirmed}
}

func gone(e ledger.Entry) ledger.Entry { e.Deleted = true; return e }

func entriesOf(entries ...ledger.Entry) entriesByName {
	known := entriesByName{}
	for _, e := range entries {
		known[e.Name] = e
	}
	return known
}

// holding is "v1=1 2": the tag v1 names the first manifest, and the second is there.
func holdingOf(text string) holding {
	h := holding{has: map[string]transfer.Content{}, lacks: map[string][]string{}}
	for _, word := range strings.Fields(text) {
		tag, number, tagged := strings.Cut(word, "=")
		if !tagged {
			number = tag
		}
		var n int
		fmt.Sscan(number, &n)
		c := transfer.Content{Digest: d(n)}
		h.has[c.Digest] = c
		if tagged {
			h.has[tag] = c
		}
	}
	return h
}

func (h holding) lacking(n int, parts ...string) holding {
	h.lacks[d(n)] = parts
	return h
}

func TestCompare(t *testing.T) {
	const here, there = "here", "there"
	complete := entriesOf(entry("v1", d(1), here, there), entry(d(1), d(1), here, there))
	arriving := entriesOf(entry("v1", d(1), there), entry(d(1), d(1), there))
	moved := entriesOf(entry("v1", d(2), here), entry(d(1), d(1), here), entry(d(2), d(2), here))
	for _, c := range []struct {
		name      string
		known     entriesByName
		has       holding
		want      []string // reason name, with * where it is pending
		confirmed []string
	}{
		{"nothing", nil, holdingOf(""), nil, nil},
		{"as it should be", complete, holdingOf("v1=1"), nil, nil},
		{"all lost", complete, holdingOf(""), []string{"missing v1"}, nil},
		{"the tag lost", complete, holdingOf("1"), []string{"missing v1"}, nil},
		{"without a tag, lost", entriesOf(entry(d(1), d(1), here)), holdingOf(""), []string{"missing " + d(1)}, nil},
		{"not here yet", arriving, holdingOf(""), []string{"missing* v1"}, nil},
		{"here, and not looked into", arriving, holdingOf("v1=1"), nil, nil},
		{"here, and complete", arriving, holdingOf("v1=1").lacking(1), nil, []string{d(1), "v1"}},
		{"here, and incomplete", arriving, holdingOf("v1=1").lacking(1, "layer"), []string{"incomplete* " + d(1)}, nil},
		{"a missing blob", complete, holdingOf("v1=1").lacking(1, "layer"), []string{"incomplete " + d(1)}, nil},
		{"an older one", moved, holdingOf("v1=1 2"), []string{"stale v1"}, nil},
		{"an older one, and the newer is not there", moved, holdingOf("v1=1"), []string{"stale v1"}, nil},
		{"another one, of who never had ours", arriving, holdingOf("v1=9"), []string{"stale* v1"}, nil},
		{"another one, of who had ours", complete, holdingOf("v1=9 1"), []string{"out_of_band v1"}, nil},
		{"nobody knows it", nil, holdingOf("v1=1 2"), []string{"unknown " + d(2), "unknown v1"}, nil},
		{"a tag of what is known", entriesOf(entry(d(1), d(1), here)), holdingOf("v1=1"), []string{"unknown v1"}, nil},
		{"a tag of what was deleted", entriesOf(gone(entry(d(1), d(1), here))), holdingOf("v1=1"),
			[]string{"undeleted " + d(1), "undeleted v1"}, nil},
		{"deleted", entriesOf(gone(entry("v1", d(1), here)), gone(entry(d(1), d(1), here))), holdingOf(""), nil, nil},
		{"deleted, and there again", entriesOf(gone(entry("v1", d(1), here)), gone(entry(d(1), d(1), here))),
			holdingOf("v1=1"), []string{"undeleted " + d(1), "undeleted v1"}, nil},
		{"deleted elsewhere", entriesOf(gone(entry("v1", d(1), there)), entry(d(1), d(1), here)), holdingOf("v1=1"),
			[]string{"undeleted* v1"}, nil},
		{"deleted elsewhere, and never here", entriesOf(gone(entry("v1", d(1), there))), holdingOf(""), nil,
			[]string{"v1"}},
		{"deleted, and pushed again out of band", entriesOf(gone(entry("v1", d(1), here))), holdingOf("v1=9"),
			[]string{"out_of_band v1"}, nil},
		{"deleted elsewhere, and another one here", entriesOf(gone(entry("v1", d(1), there))), holdingOf("v1=9"),
			[]string{"undeleted* v1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, confirmed := compare(c.known, here, "app", c.has)
			var got []string
			for _, d := range list {
				s := string(d.Reason)
				if d.Pending {
					s += "*"
				}
				got = append(got, s+" "+d.Name)
				if d.Replica != here || d.Repository != "app" || d.Has != c.has.has[d.Name].Digest {
					t.Errorf("%+v", d)
				}
			}
			var names []string
			for _, e := range confirmed {
				names = append(names, e.Name)
			}
			if !slices.Equal(got, c.want) || !slices.Equal(names, c.confirmed) {
				t.Errorf("got %q, confirmed %q; want %q, %q", got, names, c.want, c.confirmed)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	known := entriesOf(entry("v1", d(1), "here"), entry(d(1), d(1), "here"), entry("v2", d(2), "there"),
		entry(d(2), d(2), "here"), gone(entry(d(4), d(4))))
	h := holdingOf("v1=1 v2=2 v3=3 4")
	if got := toInspect(known, "here", h, false); !reflect.DeepEqual(got, []string{d(2), d(3)}) {
		t.Errorf("%v", got)
	}
	if got := toInspect(known, "here", h, true); !reflect.DeepEqual(got, []string{d(1), d(2), d(3)}) {
		t.Errorf("deep: %v", got)
	}
}

// TestFirstSurveys: what the fleet's first replica has is found out before others are looked at for the first time.
func TestFirstSurveys(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name     string
		up, mine bool // the first replica
		surveyed string
		heard    time.Duration // before now
		began    time.Duration // before now
		want     string
	}{
		{"another gateway is at it", true, false, "", hearsayDelay, 0, ""},
		{"it is down", false, false, "", hearsayDelay, 0, "new"},
		{"it is ours, too", true, true, "", hearsayDelay, 0, "home new"},
		{"another gateway has just done it", true, false, "home", hearsayDelay - 1, 0, ""},
		{"another gateway has done it", true, false, "home", hearsayDelay, 0, "new"},
		{"looked at before", true, false, "new", hearsayDelay, 0, "new"},
		{"it waits no longer", true, false, "", firstSurveyWait, firstSurveyWait, "new"},
	} {
		fleet := []Replica{{Name: "home", Up: c.up, Served: c.mine, Survey: c.mine},
			{Name: "new", Up: true, Served: true, Survey: true}}
		got := due(fleet, strings.Fields(c.surveyed), map[string]lastAudit{},
			firstSurvey{now.Add(-c.began), now.Add(-c.heard)}, now)
		if want := strings.Fields(c.want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

// TestDueBeforeLeaving: a replica leaves after an audit that began after the file had it no more.
func TestDueBeforeLeaving(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		left, audited time.Duration // ago
		soon, down    bool
		want          bool
	}{
		"audited before":         {left: 5 * time.Second, audited: time.Minute, want: true},
		"never audited":          {left: 5 * time.Second, audited: 1_000_000 * time.Second, want: true},
		"just tried":             {left: time.Hour, audited: awaitedInterval / 2, soon: true},
		"tried a while ago":      {left: time.Hour, audited: awaitedInterval, soon: true, want: true},
		"audited before, down":   {left: 5 * time.Second, audited: time.Minute, down: true},
		"audited at that moment": {left: time.Second, audited: time.Second},
	} {
		history := map[string]lastAudit{"x": {now.Add(-c.audited), c.soon}}
		fleet := []Replica{{Name: "home", Up: true}, {Name: "x", Up: !c.down, Awaited: now.Add(-c.left)}}
		got := due(fleet, []string{"home", "x"}, history, firstSurvey{}, now)
		if want := map[bool][]string{true: {"x"}}[c.want]; !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	fleet := []Replica{{Name: "x", Up: true}}
	history := map[string]lastAudit{"x": {now.Add(-time.Hour), false}}
	if got := due(fleet, []string{"x"}, history, firstSurvey{}, now); got != nil {
		t.Errorf("stays: %q", got)
	}
}

func TestSurveyedSince(t *testing.T) {
	c, began := OpenCheckpoint("", slog.New(slog.DiscardHandler)), time.Unix(1_000_000, 0)
	c.surveyed([]string{"x", "y"}, began)
	for _, row := range []struct {
		holder string
		since  time.Time
		want   bool
	}{{"x", began.Add(-1), true}, {"x", began, false}, {"y", began.Add(-1), true}, {"z", time.Time{}, false}} {
		if got := c.SurveyedSince(row.holder, row.since); got != row.want {
			t.Errorf("%s since %v: %t", row.holder, row.since, got)
		}
	}
	c.forget([]string{"y"})
	if c.SurveyedSince("x", time.Time{}) || !c.SurveyedSince("y", time.Time{}) {
		t.Error("the wrong one was forgotten")
	}
}

func TestDue(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ago := func(d time.Duration, soon bool) lastAudit { return lastAudit{now.Add(-d), soon} }
	history := map[string]lastAudit{
		"fresh": ago(time.Minute, false), "old": ago(auditInterval, false), "returned": ago(retryInterval, true),
		"flapping": ago(time.Minute, true), "down": ago(auditInterval, true),
		"theirs": ago(auditInterval, false), "their new one": ago(retryInterval, true),
	}
	var fleet []Replica
	for _, name := range []string{"fresh", "old", "returned", "flapping", "down", "theirs", "their new one", "new",
		"theirs, seen", "theirs, for others to see"} {
		fleet = append(fleet, Replica{Name: name, Up: name != "down", Served: !strings.HasPrefix(name, "their"),
			Survey: name != "theirs, for others to see"})
	}
	got := due(fleet, []string{"fresh", "old", "theirs", "theirs, seen"}, history, firstSurvey{}, now)
	if want := []string{"old", "returned", "their new one", "new"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	noteUnreachable(fleet, history)
	if history["fresh"].retrySoon || !history["down"].retrySoon {
		t.Errorf("%v", history)
	}
	fleet[0].Up = false
	noteUnreachable(fleet, history)
	noteUnreachable(fleet[2:], history)
	if !history["fresh"].retrySoon || !history["old"].retrySoon {
		t.Errorf("%v", history)
	}
}
