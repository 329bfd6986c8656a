package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var hop = regexp.MustCompile("`([a-z/_]+\\.go):([A-Za-z]+)`")

// TestWalks: each hop of the walks in docs/architecture.md is there.
func TestWalks(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	must(t, err)
	hops := hop.FindAllStringSubmatch(string(page), -1)
	if len(hops) < 30 {
		t.Errorf("only %d hops", len(hops))
	}
	for _, h := range hops {
		code, err := os.ReadFile(filepath.Join("..", h[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if found, _ := regexp.Match(`(?m)^func (\([^)]*\) )?`+h[2]+`[\[(]`, code); !found {
			t.Errorf("%s has no function %s", h[1], h[2])
		}
	}
}
