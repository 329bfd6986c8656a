package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var hop = regexp.MustCompile("`([a-z/_]+\\.go):([A-Za-z]+)`")

// TestWalks: each function that the pages for maintainers name is there.
func TestWalks(t *testing.T) {
	var hops [][]string
	for _, name := range []string{"architecture.md", "where.md"} {
		page, err := os.ReadFile(filepath.Join("..", "docs", name))
		must(t, err)
		found := hop.FindAllStringSubmatch(string(page), -1)
		if len(found) < 30 {
			t.Errorf("%s names only %d", name, len(found))
		}
		hops = append(hops, found...)
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
