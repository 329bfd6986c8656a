package test

import (
	"testing"
	"time"
)

// startBound is how long a program may take to answer after it was started, on a machine that is not busy: see patient.
const startBound = 60 * time.Second

// waitFor polls until ok returns no error. It is the only wait in these tests: nothing waits for a time to pass.
func waitFor(t testing.TB, bound time.Duration, what string, ok func() error) {
	t.Helper()
	began := time.Now()
	// what is asked has other things to do
	for pause := 20 * time.Millisecond; ; pause = min(pause*5/4, 200*time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if took := time.Since(began); took > bound && took > patient(bound) {
			t.Fatalf("waited %v in vain for %s: %v", took.Round(time.Second), what, err)
		}
		<-time.After(pause)
	}
}
