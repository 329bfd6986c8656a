package router

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestReasonsIsClosed: all reasons are listed, and each is explained to operators.
func TestReasonsIsClosed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			declared = append(declared, word)
		}
		return true
	})
	page, err := os.ReadFile("../docs/request-handling.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, r := range Reasons() {
		if !strings.Contains(string(page), "`"+string(r)+"`") {
			t.Errorf("docs/request-handling.md does not explain %s", r)
		}
		listed = append(listed, string(r))
	}
	sameNames(t, listed, declared...)
	slices.Sort(declared)
	if len(slices.Compact(declared)) != len(listed) {
		t.Errorf("a word means two reasons: %v", listed)
	}
}
