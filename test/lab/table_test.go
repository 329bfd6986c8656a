package main

import (
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestUpperBound(t *testing.T) {
	for _, c := range []struct {
		bad, n int
		want   float64
	}{
		{0, 1, 0.95}, {0, 20, 0.139108}, {0, 2000, 0.001497}, {1, 10, 0.394163}, {5, 10, 0.777559}, {9, 10, 0.994884},
		{10, 10, 1}, {0, 0, 1},
	} {
		if got := upperBound(c.bad, c.n); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%d of %d: %f, not %f", c.bad, c.n, got, c.want)
		}
	}
}

// TestUpperBoundIsOne: it is above what was seen, and one bad push more raises it.
func TestUpperBoundIsOne(t *testing.T) {
	for _, n := range []int{1, 2, 7, 50, 4000} {
		for bad := range min(n, 50) {
			p, more := upperBound(bad, n), upperBound(bad+1, n)
			if p <= float64(bad)/float64(n) || p > 1 || more <= p {
				t.Fatalf("%d of %d: %f, one more: %f", bad, n, p, more)
			}
		}
	}
}

func results() []result {
	return []result{
		{cell: cell{"crane", "none", "request", "crane", 0}, Outcomes: map[string]int{ok: 1, failed: 2, damaged: 2},
			Version: "v1", Fairlead: "old"},
		{cell: cell{"crane", "none", "flip", "crane", 0}, Outcomes: map[string]int{ok: 4, hung: 1}, Split: 3,
			Version: "v1", Fairlead: "old"},
		{cell: cell{"docker", "none", "flip", "crane", 0}, Outcomes: map[string]int{ok: 5}, Split: 1, Version: "20.10",
			Fairlead: "old"},
		{cell: cell{"crane", "fairlead", "flip", "distribution", 0}, Outcomes: map[string]int{ok: 20}, Version: "v1",
			Fairlead: "new"},
		{cell: cell{"crane", "fairlead", "flip", "crane", 0}, Outcomes: map[string]int{ok: 20}, Version: "v1",
			Fairlead: "new"},
		{cell: cell{"crane", "fairlead", "kill", "distribution", 0}, Outcomes: map[string]int{ok: 3, failed: 1},
			Version: "v1", Fairlead: "new"},
		{cell: cell{"crane", "fairlead", "kill", "distribution", 0}, Outcomes: map[string]int{unharmed: 2}, Version: "v1",
			Fairlead: "new"},
		{cell: cell{"crane", "fairlead", "kill", "distribution", 4 << 20}, Outcomes: map[string]int{failed: 7},
			Version: "v1", Fairlead: "new"},
		{cell: cell{"crane", "fairlead", "pull-slow", "distribution", 256 << 20},
			Outcomes: map[string]int{ok: 2, hung: 1}, Fetched: []float64{1.001, 1.0123}, Version: "v1", Fairlead: "new"},
		{cell: cell{"docker", "fairlead", "pull-cut", "distribution", 256 << 20}, Outcomes: map[string]int{ok: 3},
			Fetched: []float64{1, 1, 1}, Version: "20.10", Fairlead: "new"},
	}
}

func TestTables(t *testing.T) {
	var b strings.Builder
	writeTables(&b, results())
	for _, want := range []string{
		"| client | none | dnsmasq | dnsmasq-best | fairlead | fairlead-cluster |\n| --- | --- | --- | --- | --- | --- |\n" +
			"| docker | 0+0 of 5 | – | – | – | – |\n| crane | 2+2+1 hung of 10 | – | – | 0+0 of 40 | – |\n" +
			"| all | 2+2+1 hung of 15 | – | – | 0+0 of 40 | – |\n" +
			"| bad, and at most, with 95 % confidence | 33.3 %, 57.74 % | – | – | 0.0 %, 7.22 % | – |\n" +
			"| came to both ends | 4 | – | – | 0 | – |\n",
		"Mode `request`.\n\n", "| crane | 2+2 of 5 | – | – | – | – |\n",
		"| client | whole on another | failed, and the client says so | damaged | hung | finished before |\n| --- | --- | --- | --- | --- | --- |\n| crane | 3 | 1 | 0 | 0 | 2 |\n",
		"layers of 4 MiB.\n", "| crane | 0 | 7 | 0 | 0 | 0 |\n",
		"| client | pull-kill | pull-stop | pull-slow | pull-cut |\n| --- | --- | --- | --- | --- |\n" +
			"| docker | – | – | – | 3 of 3; 1.000 |\n| crane | – | – | 2 of 3 (0, 0, 1); 1.012 | – |\n",
		"Clients: crane v1, docker 20.10. Fairlead: new.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say\n%s\nbut\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "Mode `connection`") {
		t.Error("a table of a mode that was not run")
	}
}

func TestResultsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.jsonl")
	if got, err := readResults(file); err != nil || got != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
	for _, r := range results() {
		if err := appendResult(file, r); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readResults(file); err != nil || !reflect.DeepEqual(got, results()) {
		t.Errorf("%v\n%v", got, err)
	}
}
