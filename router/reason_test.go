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

// closedSet is every reason that reason.go declares.
var closedSet = declaredReasons()

func declaredReasons() (all []Reason) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		panic(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				panic(err)
			}
			all = append(all, Reason(word))
		}
		return true
	})
	return all
}

// TestReasons: no word means two reasons, and each is explained to operators.
func TestReasons(t *testing.T) {
	page, err := os.ReadFile("../docs/request-handling.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range closedSet {
		if !strings.Contains(string(page), "`"+string(r)+"`") {
			t.Errorf("docs/request-handling.md does not explain %s", r)
		}
		if slices.Contains(closedSet[:i], r) {
			t.Errorf("%s means two reasons", r)
		}
	}
	if len(closedSet) < 22 {
		t.Errorf("only %v were found", closedSet)
	}
}
