package webhook

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		failed int
		random float64
		wait   time.Duration
		again  bool
	}{
		{1, 0, time.Second, true},
		{1, 0.5, 1500 * time.Millisecond, true},
		{2, 0, 2 * time.Second, true},
		{3, 0, 4 * time.Second, true},
		{11, 0, 1024 * time.Second, true},
		{12, 0, 30 * time.Minute, true},
		{maxAttempts - 1, 0, 30 * time.Minute, true},
		{maxAttempts, 0, 0, false},
		{maxAttempts + 1, 0.9, 0, false},
	} {
		if wait, again := waitAfter(test.failed, test.random); wait != test.wait || again != test.again {
			t.Errorf("%d, %v: %v %v", test.failed, test.random, wait, again)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failed, random := rapid.IntRange(1, 1_000_000).Draw(t, "failed"), rapid.Float64Range(0, 0.999999).Draw(t,
			"random")
		wait, again := waitAfter(failed, random)
		if again != (failed < maxAttempts) || again && (wait < firstWait/2 || wait > maxWait) {
			t.Errorf("%v %v", wait, again)
		}
	})
}
