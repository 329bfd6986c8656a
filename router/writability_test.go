package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// wrote reads one write: "A/app 500" is client A's upload to app that begins, "A/app 500 stores" one that brought
// content, and "probe 500" the gateway's own.
func wrote(t *testing.T, text string) Wrote {
	t.Helper()
	who, rest, _ := strings.Cut(text, " ")
	var w Wrote
	w.Stores = strings.HasSuffix(rest, " stores") || who == "probe"
	if _, err := fmt.Sscanf(rest, "%d", &w.Status); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	client, repository, _ := strings.Cut(who, "/")
	w.Repository = repository
	if who == "probe" {
		return w
	}
	w.Client = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, client[0]}), 32)
	return w
}

func TestWritability(t *testing.T) {
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		heard  string // one after the other, a second apart; +6m: that time passes
		hinted bool
		want   bool // it fails
	}{
		"nothing":                         {"", false, false},
		"one failure":                     {"A/app 500", false, false},
		"one repository of one client":    {"A/app 500, A/app 500, A/app 503, A/app 500 stores", false, false},
		"two repositories":                {"A/app 500, A/web 500", false, true},
		"two clients":                     {"A/app 500, B/app 502", false, true},
		"507 says it for all":             {"A/app 507", false, true},
		"507 to a part":                   {"A/app 507 stores", false, true},
		"501 is what it never does":       {"A/app 501, B/web 501", false, false},
		"refusals say nothing":            {"A/app 401, B/web 403, A/x 404, B/y 429, A/z 405, B/q 413", false, false},
		"refusals hide nothing":           {"A/app 500, A/web 401, B/web 500", false, true},
		"no answer says nothing":          {"A/app 0, B/web 0", false, false},
		"a success between":               {"A/app 500, C/x 202, B/web 500", false, false},
		"content is a success":            {"A/app 500 stores, C/x 201 stores, B/web 500 stores", false, false},
		"an upload that begins is none":   {"A/app 500 stores, C/x 202, B/web 500 stores", false, true},
		"long ago":                        {"A/app 500, +6m, B/web 500", false, false},
		"a replica of its storage fails":  {"A/app 500", true, true},
		"it does, and this one is well":   {"A/app 202, B/app 201 stores", true, false},
		"a probe":                         {"probe 500", false, false},
		"two probes":                      {"probe 500, probe 500", false, true},
		"a probe and a client":            {"probe 500, A/app 500", false, true},
		"a probe finds it full":           {"probe 507", false, true},
		"it takes uploads again":          {"A/app 500, B/app 500, C/app 202", false, false},
		"it takes what it failed at":      {"A/app 507 stores, C/app 202, C/app 202 stores", false, false},
		"it begins what it cannot take":   {"A/app 507 stores, C/app 202", false, true},
		"it failed at less, then at more": {"A/app 507, A/app 507 stores, C/app 202", false, true},
		"a probe takes it back":           {"A/app 507 stores, probe 202", false, false},
		"a refusal does not":              {"A/app 507, B/app 401", false, true},
		"after a success all counts anew": {"A/app 507, B/app 201 stores, B/app 500", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var w Writability
			now := start
			for text := range strings.SplitSeq(c.heard, ", ") {
				switch {
				case text == "":
				case text[0] == '+':
					d, err := time.ParseDuration(text[1:])
					if err != nil {
						t.Fatal(err)
					}
					now = now.Add(d)
				default:
					now = now.Add(time.Second)
					w = w.Step(wrote(t, text), c.hinted, now)
				}
			}
			if w.Failing() != c.want {
				t.Errorf("fails: %t; %+v", w.Failing(), w)
			}
		})
	}
}

// TestWritabilityTries: what has to pass before each push that is let through.
func TestWritabilityTries(t *testing.T) {
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	w := Writability{}.Step(wrote(t, "A/app 507"), false, now)
	if w.Since != now || w.Why.Repository != "app" {
		t.Errorf("%+v", w)
	}
	for i, seconds := range []int{15, 30, 60, 120, 120, 120, 120, 120, 120, 120} {
		want := time.Duration(seconds) * time.Second
		if early := now.Add(want - 1); w.Due(early) {
			t.Errorf("try %d: due %v early", i, want)
		}
		now = now.Add(want)
		if !w.Due(now) {
			t.Fatalf("try %d: not due after %v, but at %v", i, want, w.NextTry)
		}
		w = w.Try(now)
		w = w.Step(wrote(t, "B/app 500"), false, now)
	}
	if w.Why.Status != 507 {
		t.Errorf("what decided is another one: %+v", w.Why)
	}
	if (Writability{}).Due(now) {
		t.Error("what takes uploads is tried")
	}
}
