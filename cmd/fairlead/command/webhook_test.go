package command

import (
	"slices"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "",
		"serve --actions a b":           "serve --actions a b",
		"webhook list -o json":          "webhook list -o json",
		"webhook create --actions push": "webhook create --actions push",
		"webhook create -n hook1 --actions push delete --uri http://a":   "webhook create -n hook1 --actions push --actions delete --uri http://a",
		"webhook create --headers A=b C=d E --actions push delete -n h1": "webhook create --headers A=b --headers C=d --headers E --actions push --actions delete -n h1",
		"webhook create --actions=push delete -n hook1":                  "webhook create --actions=push --actions delete -n hook1",
		"webhook update -n hook1 --headers":                              "webhook update -n hook1 --headers",
		"webhook update --headers -n hook1 stray":                        "webhook update --headers -n hook1 stray",
	} {
		if got := strings.Join(Spread(strings.Fields(args)), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if got := Spread([]string{"webhook", "update", "--headers", "", "-n", "hook1"}); !slices.Equal(got,
		[]string{"webhook", "update", "--headers", "", "-n", "hook1"}) {
		t.Errorf("%q", got)
	}
}

func TestHeadersOf(t *testing.T) {
	got := headersOf([]string{"Authorization=Basic YWJj==", "X-Team", ""})
	if len(got) != 2 || got["Authorization"] != "Basic YWJj==" || got["X-Team"] != "" {
		t.Errorf("%q", got)
	}
	if none := headersOf([]string{""}); none == nil || len(none) != 0 {
		t.Errorf("%q", none)
	}
}
