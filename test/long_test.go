package test

import (
	"os"
	"strconv"
	"testing"
)

// long leaves a test, or a case of one, to `make check`: with -short, which is what `make test` gives, it is not run.
// The report counts it as left out and not as skipped; it knows it by the first word.
func long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("LONG: left to make check")
	}
}

// few is how many of something a test does in its small form, and in the one that `make check` runs.
func few(small, whole int) int {
	if testing.Short() {
		return small
	}
	return whole
}

// number is how many of something a test does: few in every run, and as many as the environment says.
func number(t testing.TB, variable string, few int) int {
	given := os.Getenv(variable)
	if given == "" {
		return few
	}
	n, err := strconv.Atoi(given)
	must(t, err)
	return n
}
