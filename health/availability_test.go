package health

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAccount(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	type span struct {
		begins, lasts int // hours
		up            bool
	}
	const day = 24
	for _, row := range []struct {
		name  string
		spans []span
		at    int // hours from the beginning
		want  [3]float64
	}{
		{"nothing", nil, 100, [3]float64{-1, -1, -1}},
		{"up", []span{{0, 10, true}}, 10, [3]float64{1, 1, 1}},
		{"an hour of ten", []span{{0, 9, true}, {9, 1, false}}, 10, [3]float64{0.9, 0.9, 0.9}},
		{"what is not known does not count", []span{{0, 9, true}, {500, 1, false}}, 501, [3]float64{0, 0, 0.9}},
		{"only a day ago", []span{{0, 2 * day, false}, {2 * day, 8 * day, true}}, 10 * day, [3]float64{1, 1, 0.8}},
		{"longer ago than 30 days", []span{{0, 9 * day, false}, {9 * day, 31 * day, true}}, 40 * day, [3]float64{1, 1, 1}},
		{"nothing for 30 days", []span{{0, 9 * day, false}}, 40 * day, [3]float64{-1, -1, -1}},
		{"a clock that is set back begins anew", []span{{100, 9, false}, {0, 9, true}}, 9, [3]float64{1, 1, 1}},
		{"a clock that goes wild begins anew", []span{{0, 9, false}, {99999, 9, true}}, 100008, [3]float64{1, 1, 1}},
	} {
		var a Account
		for _, s := range row.spans {
			for m := range s.lasts * 60 {
				a.Add(began.Add(time.Duration(s.begins*60+m)*time.Minute), time.Minute, s.up)
			}
		}
		for again, account := range []Account{a, a.save().load()} {
			for i, w := range windows {
				got, known := account.Ratio(began.Add(time.Duration(row.at)*time.Hour), w.hours)
				if !known {
					got = -1
				}
				if got != row.want[i] {
					t.Errorf("%s, read again %d, %s: %v, want %v", row.name, again, w.name, got, row.want[i])
				}
			}
		}
	}
}

func TestAccountsOfAnEarlierRun(t *testing.T) {
	whole, _ := json.Marshal(map[string]accounted{"west": (&Account{newest: 400000}).save()})
	for name, text := range map[string]string{
		"no file": "", "half": string(whole[:len(whole)/2]), "not ours": `[1,2]`,
		"too short":    `{"west":{"newest":400000,"hours":"AAAA"}}`,
		"too early":    strings.Replace(string(whole), "400000", "3", 1),
		"more than is": strings.Replace(string(whole), "AAAAAAAA", "D/8P/w//", 1),
	} {
		file := filepath.Join(t.TempDir(), "availability.json")
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, kept := range readAccounts(file) {
			if kept.load() != (Account{}) {
				t.Errorf("%s: something is known", name)
			}
		}
	}
	if kept := (accounted{Newest: 400000, Hours: make([]byte, 4*hoursKept)}).load(); kept.newest != 400000 {
		t.Error("a whole one is not read")
	}
}

func TestAvailability(t *testing.T) {
	file := filepath.Join(t.TempDir(), "availability.json")
	// ratio is west's of a day; -1: it has no series.
	ratio := func(w *world) float64 {
		families, _ := w.registry.Gather()
		for _, f := range families {
			for _, s := range f.GetMetric() {
				if strings.HasSuffix(f.GetName(), "availability_ratio") && s.GetLabel()[0].GetValue() == "west" {
					return s.GetGauge().GetValue()
				}
			}
		}
		return -1
	}
	run := func(t *testing.T, test func(*world, *Monitor)) {
		bubble(t, []Target{west, east}, func(w *world, m *Monitor) {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { m.Account(ctx, file); close(done) }()
			defer func() { cancel(); <-done }()
			test(w, m)
		})
	}
	run(t, func(w *world, m *Monitor) {
		sleep(10 * time.Second)
		if got := ratio(w); got != -1 {
			t.Errorf("%v before anybody has asked", got)
		}
		w.start()
		sleep(30 * time.Minute)
		w.set(west, errTestFails)
		sleep(30 * time.Minute)
		if got := ratio(w); got < 0.5 || got > 0.505 {
			t.Errorf("up for half an hour of one: %v", got)
		}
		w.set(west, nil)
		sleep(50 * time.Minute)
	})
	run(t, func(w *world, m *Monitor) { // at the same fake time: what was known stays, and is at most an hour of each
		sleep(time.Second)
		if got := ratio(w); got < 0.7 || got > 0.76 {
			t.Errorf("after a restart: %v", got)
		}
		m.Update(settings(twoReplicas[1:], []Target{east}))
		if got := ratio(w); got != -1 || testutil.CollectAndCount(availabilities{m}) != 3 {
			t.Errorf("a replica that is gone: %v", got)
		}
	})
	if kept := readAccounts(file); len(kept) != 1 {
		t.Errorf("kept of %d replicas, want one", len(kept))
	}
}

// TestAccountInEarly1970: a machine without a clock begins there.
func TestAccountInEarly1970(t *testing.T) {
	now := time.Unix(24*3600, 0)
	var a Account
	a.Add(now, time.Second, true)
	if ratio, known := a.Ratio(now, 30*24); ratio != 1 || !known {
		t.Errorf("%v, %v", ratio, known)
	}
}
