package test

import (
	"testing"
	"time"
)

// startBound is how long a program may take to answer after it was started, on a machine that is busy.
const startBound = 60 * time.Second

// waitFor polls until ok returns no error. It is the only wait in these tests: nothing waits for a time to pass.
func waitFor(t testing.TB, bound time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(bound)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s: %v", bound, what, err)
		}
		<-tick.C
	}
}
