package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const lines = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: figure: 3 of 4\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    broken\n"}
{"Action":"fail","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    no podman\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestD","Output":"    d_test.go:1: LONG: left to make check\n"}
{"Action":"skip","Package":"p","Test":"TestD"}
{"Action":"skip","Package":"q"}
not json
{"Action":"pass","Package":"p","Elapsed":1.5}
`
	var out bytes.Buffer
	tally := &tally{output: map[key][]string{}, out: &out}
	tally.read(strings.NewReader(lines))
	if tally.passed != 1 || tally.failed != 1 || tally.skipped != 1 || tally.long != 1 {
		t.Errorf("%+v", tally)
	}
	for _, want := range []string{"TestA: 3 of 4", "broken", "SKIPPED p TestC", "no podman", "not json", "ok   p"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "TestD") {
		t.Errorf("a long test that is left out is shown:\n%s", out.String())
	}
}
