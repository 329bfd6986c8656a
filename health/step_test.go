package health

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairlead-gateway/fairlead/router"
)

// run feeds a row of results ('.' success, 'x' failure, '?' unknown) and draws the states it leads to: U up, u up with
// failures or not known yet, D down, d down with successes.
func run(th Thresholds, results string) (states string, last History) {
	var drawn strings.Builder
	for _, result := range results {
		last = Step(th, last, map[rune]Result{'.': Success, 'x': Failure, '?': Unknown}[result])
		drawn.WriteByte(draw(last))
	}
	return drawn.String(), last
}

func draw(h History) byte {
	switch {
	case h.Up() && h.Steady():
		return 'U'
	case h.Up():
		return 'u'
	case h.Steady():
		return 'D'
	}
	return 'd'
}

func TestHistories(t *testing.T) {
	small := Thresholds{Down: 3, OK: 2, Up: 4}
	for _, test := range []struct {
		name          string
		th            Thresholds
		results, want string
	}{
		{"the first result decides: up", small, ".", "U"},
		{"the first result decides: down", small, "x", "D"},
		{"steady", small, "......", "UUUUUU"},
		{"one failure is forgiven by two successes", small, ".x..", "UuuU"},
		{"and then counts no more", small, ".x..x..x..", "UuuUuuUuuU"},
		{"three in a row", small, ".xxx", "UuuD"},
		{"three with successes between", small, ".x.x.x", "UuuuuD"},
		{"two and forgiveness", small, ".xx..xx..", "UuuuUuuuU"},
		{"a failure begins forgiveness anew", small, ".x.x..", "UuuuuU"},
		{"down stays down", small, ".xxxxxx", "UuuDDDD"},
		{"up after four in a row", small, "x....", "DdddU"},
		{"three are not enough", small, "x...x...x....", "DdddDdddDdddU"},
		{"back up owes nothing", small, "x....xx", "DdddUuu"},
		{"half of the probes lost", small, ".x.x.x.x.x.x.x.x", "UuuuuDdDdDdDdDdD"},
		{"all thresholds 1: the last probe", Thresholds{1, 1, 1}, ".x.xx.", "UDUDDU"},
		{"a restart of 4 s passes", Defaults(), ".xxxx..", "UuuuuuU"},
		{"five failures do not", Defaults(), ".xxxxx", "UuuuuD"},
		{"ten successes bring back", Defaults(), "x..........", "DdddddddddU"},
		{"unknown is no failure", Defaults(), "." + strings.Repeat("?", 60), strings.Repeat("U", 61)},
		{"and forgives none", small, ".x?????x?x", "UuuuuuuuuD"},
		{"nor delays that others are forgiven", small, ".x.?.", "UuuuU"},
		{"nor brings anybody back", small, "x????????", "DDDDDDDDD"},
		{"nor delays that others do", small, "x.?.?..", "DdddddU"},
		{"the first that says anything decides: down", small, "???x", "uuuD"},
		{"the first that says anything decides: up", small, "???.", "uuuU"},
		{"nine do not", Defaults(), "x.........x.........", "DdddddddddDddddddddd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := run(test.th, test.results); got != test.want {
				t.Errorf("\nresults %s\ngot     %s\nwant    %s", test.results, got, test.want)
			}
		})
	}
}

func TestUnknownCountsAsUp(t *testing.T) {
	var h History
	if !h.Up() || h.Known() || h.Steady() {
		t.Errorf("zero: up %v, known %v, steady %v; want true, false, false", h.Up(), h.Known(), h.Steady())
	}
	if h = Step(Defaults(), h, Unknown); h.Known() {
		t.Error("known, and nothing was said")
	}
	if h = Step(Defaults(), h, Success); !h.Known() {
		t.Error("not known after a success")
	}
}

func TestLate(t *testing.T) {
	began := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		sign time.Time
		want Result
	}{
		{"no sign of life ever", time.Time{}, Failure},
		{"one of an hour ago", began.Add(-time.Hour), Failure},
		{"one just before it began", began.Add(-time.Nanosecond), Failure},
		{"one when it began", began, Failure},
		{"one since it began", began.Add(time.Nanosecond), Unknown},
		{"one of just now", began.Add(2 * time.Second), Unknown},
	} {
		if got := Late(began, test.sign); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestHealth(t *testing.T) {
	th := Thresholds{Down: 5, OK: 2, Up: 10}
	const interval = 5 * time.Second
	for _, test := range []struct {
		name    string
		results string
		next    time.Duration
		want    router.Health
	}{
		{"unknown: the next decides", "", 300 * time.Millisecond, router.Health{Up: true,
			ChangeIn: 300 * time.Millisecond}},
		{"unknown, asked now: not steady", "", 0, router.Health{Up: true, ChangeIn: time.Millisecond}},
		{"steady up", ".", interval, router.Health{Up: true}},
		{"steady down", "x", interval, router.Health{}},
		{"one failure: four to go", ".x", time.Second, router.Health{Up: true, ChangeIn: 4 * time.Second}},
		{"timed out: the next is due", ".x", 0, router.Health{Up: true, ChangeIn: 3 * time.Second}},
		{"a success between takes nothing back", ".x.", time.Second, router.Health{Up: true,
			ChangeIn: 4 * time.Second}},
		{"one left", ".xxxx", time.Second, router.Health{Up: true, ChangeIn: time.Second}},
		{"one left, due now: not steady", ".xxxx", 0, router.Health{Up: true, ChangeIn: time.Millisecond}},
		{"forgiven", ".x..", interval, router.Health{Up: true}},
		{"recovering: nine to go", "x.", time.Second, router.Health{ChangeIn: 9 * time.Second}},
		{"relapsed", "x.x", interval, router.Health{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, h := run(th, test.results)
			if got := h.Health(th, interval, test.next); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestSpacing(t *testing.T) {
	for _, test := range []struct {
		results        string
		interval, want time.Duration
	}{
		{"", 5 * time.Second, time.Second},
		{".", 5 * time.Second, 5 * time.Second},
		{".x", 5 * time.Second, time.Second},
		{".x..", 5 * time.Second, 5 * time.Second},
		{"x", 5 * time.Second, 5 * time.Second}, // steadily down: may be gone for days
		{"x.", 5 * time.Second, time.Second},
		{".x", 2 * time.Second, time.Second}, // at least 1 s
		{".x", 30 * time.Second, 6 * time.Second},
		{".x", 200 * time.Millisecond, 200 * time.Millisecond}, // but never above interval
	} {
		_, h := run(Defaults(), test.results)
		if got := h.Spacing(test.interval); got != test.want {
			t.Errorf("after %q, interval %v: got %v, want %v", test.results, test.interval, got, test.want)
		}
	}
}

var (
	someThresholds = rapid.Custom(func(t *rapid.T) Thresholds {
		small := rapid.IntRange(1, 6)
		th := Thresholds{Down: small.Draw(t, "down"), OK: small.Draw(t, "ok")}
		th.Up = th.OK + rapid.IntRange(0, 6).Draw(t, "up")
		return th
	})
	someResults = rapid.SliceOfN(someResult, 1, 200)
	someResult  = rapid.SampledFrom(fromWorst)

	fromWorst = []Result{Failure, Unknown, Success}
)

// twin tells from the whole row since the last change what Step tells from a few counters.
func twin(th Thresholds, all []Result) bool {
	var results []bool
	for _, r := range all {
		if r != Unknown {
			results = append(results, r == Success)
		}
	}
	if len(results) == 0 {
		return true
	}
	up := results[0]
	since := 0 // index of the result that brought this state about
	for i := 1; i < len(results); i++ {
		row := results[since+1 : i+1]
		if (up && unforgiven(row, th.OK) >= th.Down) || (!up && allOK(row, th.Up)) {
			up, since = !up, i
		}
	}
	return up
}

// unforgiven counts the failures after the last run of ok successes.
func unforgiven(row []bool, ok int) (failures int) {
	for i, result := range row {
		if !result {
			failures++
		}
		if allOK(row[:i+1], ok) {
			failures = 0
		}
	}
	return failures
}

// allOK reports whether the last n of row are there and successes.
func allOK(row []bool, n int) bool {
	if len(row) < n {
		return false
	}
	for _, result := range row[len(row)-n:] {
		if !result {
			return false
		}
	}
	return true
}

func after(th Thresholds, results []Result) (h History) {
	for _, result := range results {
		h = Step(th, h, result)
	}
	return h
}

func TestStepAgreesWithItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th, results := someThresholds.Draw(t, "thresholds"), someResults.Draw(t, "results")
		if got, want := after(th, results).Up(), twin(th, results); got != want {
			t.Fatalf("up %v, the twin says %v", got, want)
		}
	})
}

// Each change but the first result's costs Down failures or Up successes of its own.
func TestFlipsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th, results := someThresholds.Draw(t, "thresholds"), someResults.Draw(t, "results")
		var h History
		flips := 0
		for _, result := range results {
			before := h
			h = Step(th, h, result)
			if before.Known() && before.Up() != h.Up() {
				flips++
			}
		}
		pairs := (len(results) - 1) / (th.Down + th.Up)
		if most := 2*pairs + 1; flips > most {
			t.Fatalf("%d flips in %d results, at most %d", flips, len(results), most)
		}
	})
}

// A better result in another's stead never ends worse (for Up >= OK, as any sane choice has it).
func TestStepIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th, results := someThresholds.Draw(t, "thresholds"), someResults.Draw(t, "results")
		better := make([]Result, len(results))
		for i, result := range results {
			better[i] = rapid.SampledFrom(fromWorst[slices.Index(fromWorst, result):]).Draw(t, "mended")
		}
		if after(th, results).Up() && !after(th, better).Up() {
			t.Fatal("up with more failures, down with fewer")
		}
	})
}

// No row of results shorter than ProbesToChange changes Up, and one just as long does.
func TestProbesToChangeIsTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := someThresholds.Draw(t, "thresholds")
		h := after(th, rapid.SliceOfN(someResult, 0, 40).Draw(t, "results"))
		least := h.ProbesToChange(th)
		if steady := least == 0; steady != h.Steady() {
			t.Fatalf("least %d, steady %v", least, h.Steady())
		}
		quickest, any := h, h
		for i := 1; i <= least; i++ {
			quickest = Step(th, quickest, against(h))
			any = Step(th, any, someResult.Draw(t, "next"))
			if i < least && any.Up() != h.Up() {
				t.Fatalf("changed after %d, promised not before %d", i, least)
			}
		}
		if least > 0 && quickest.Up() == h.Up() {
			t.Fatalf("not changed after %d", least)
		}
	})
}
