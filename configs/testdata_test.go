package configs

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false,
	"write what is found into the first lines of testdata/invalid-*.yaml; read the difference before keeping it")

const wantPrefix = "# want "

func testFiles(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

// splitWants separates the expected problems in a file's first lines from the rest.
func splitWants(data []byte) (wants []string, rest string) {
	rest = string(data)
	for strings.HasPrefix(rest, wantPrefix) {
		line, after, _ := strings.Cut(rest, "\n")
		wants = append(wants, strings.TrimPrefix(line, wantPrefix))
		rest = after
	}
	return wants, rest
}

// found is what Parse says about data, each problem without the name of the file.
func found(t *testing.T, file string, data []byte) []string {
	t.Helper()
	_, err := Parse(file, data)
	if err == nil {
		return nil
	}
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error is a %T, want Problems: %v", err, err)
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(p.String(), file), ":")
	}
	return lines
}

func TestInvalidFiles(t *testing.T) {
	for _, file := range testFiles(t, "invalid-*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				data = rewriteWants(t, file, data)
			}
			want, _ := splitWants(data)
			if len(want) == 0 {
				t.Fatalf("no expectation: its first lines must start with %q", wantPrefix)
			}
			if got := found(t, file, data); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// rewriteWants parses twice: the wanted lines themselves shift what they describe.
func rewriteWants(t *testing.T, file string, data []byte) []byte {
	_, rest := splitWants(data)
	count := len(found(t, file, []byte(rest)))
	got := found(t, file, []byte(strings.Repeat("#\n", count)+rest))
	var b strings.Builder
	for _, line := range got {
		b.WriteString(wantPrefix + line + "\n")
	}
	b.WriteString(rest)
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// Every rule in rules.go is broken by at least one file. The exceptions would need a file of a megabyte,
// replicas.d, or a gateway that runs, and have tests of their own.
func TestEveryRuleHasAFile(t *testing.T) {
	exceptions := map[string]bool{"ruleTooLarge": true, "ruleTooMany": true, "ruleParts": true, "ruleHereGone": true,
		"rulePartsLarge": true}
	var wants []string
	for _, file := range testFiles(t, "invalid-*.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := splitWants(data)
		wants = append(wants, w...)
	}
	all := strings.Join(wants, "\n")
	for name, rule := range ruleConstants(t) {
		pattern := regexp.MustCompile(`%[sd]`).ReplaceAllString(regexp.QuoteMeta(rule), `.+`)
		broken := regexp.MustCompile(`(?m): ` + pattern + `( \(got .*\))?$`).MatchString(all)
		if broken == exceptions[name] {
			t.Errorf("%s: broken by a file: %v, an exception: %v", name, broken, exceptions[name])
		}
	}
}

func ruleConstants(t *testing.T) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "rules.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			rules[spec.Names[0].Name] = value
		}
		return true
	})
	return rules
}

func TestValidFiles(t *testing.T) {
	for _, file := range append(testFiles(t, "valid-*.yaml"), "fairlead.yaml", "demo.yaml") {
		if _, err := Load(file); err != nil {
			t.Errorf("%v", err)
		}
	}
}
