package backoff

import (
	"math"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	second := Policy{First: time.Second, Most: time.Minute}
	for _, test := range []struct {
		name     string
		policy   Policy
		failures int
		random   float64
		want     time.Duration
	}{
		{"the least after the first", second, 1, 0, 500 * time.Millisecond},
		{"the middle", second, 1, 0.5, 750 * time.Millisecond},
		{"the most after the first", second, 1, 1, time.Second},
		{"twice as long", second, 2, 1, 2 * time.Second},
		{"and again", second, 3, 0, 2 * time.Second},
		{"before the bound", second, 6, 1, 32 * time.Second},
		{"at the bound", second, 7, 1, time.Minute},
		{"behind it, the least", second, 8, 0, 30 * time.Second},
		{"as often as can be counted", second, math.MaxInt, 1, time.Minute},
		{"none yet counts as one", second, 0, 1, time.Second},
		{"always the same", Policy{First: time.Second, Most: time.Second}, 9, 1, time.Second},
		{"a bound below the first", Policy{First: time.Minute, Most: time.Second}, 1, 1, time.Second},
		{"the longest there is", Policy{First: time.Second, Most: math.MaxInt64}, 30, 1, time.Second << 29},
		{"and no longer", Policy{First: time.Second, Most: math.MaxInt64}, 99, 0, math.MaxInt64 / 2},
	} {
		if got := test.policy.Wait(test.failures, test.random); got != test.want {
			t.Errorf("%s: %v, not %v", test.name, got, test.want)
		}
	}
}
