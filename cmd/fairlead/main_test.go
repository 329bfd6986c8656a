package main

import (
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	t.Setenv("FAIRLEAD_ADMIN", "http://127.0.0.1:1")
	for args, want := range map[string]int{
		"version": 0, "image show": 1, "image show app:v1": 1, "egress": 1, "egress -o xml": 1,
		"replication retry App": 1,
		"replication conflicts": 1,
		"wait":                  2, "wait app:v1": 2, "wait App": 2, "wait app:v1 --timeout never": 2,
		"wait app:v1 --timeout -1s": 2,
		"wait app:v1 -o xml":        2,
		"import":                    2, "import app:v1": 2, "import registry.contoso.com/app:v1": 2,
		"import registry.contoso.com/app:v1 --bogus": 2,
	} {
		if got := run(t.Context(), strings.Fields(args)); got != want {
			t.Errorf("%s: %d, not %d", args, got, want)
		}
	}
}
