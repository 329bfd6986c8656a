package oci

import (
	"strings"
	"testing"
)

func TestLink(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"as distribution has it", []string{`</v2/_catalog?last=b&n=2>; rel="next"`}, "/v2/_catalog?last=b&n=2"},
		{"a token", []string{`</a?n=1>;rel=next`}, "/a?n=1"},
		{"other case, spaces", []string{"\t</a?n=1> ; Title=x ;  REL = \"NEXT\" "}, "/a?n=1"},
		{"the second of a line", []string{`</a?n=0>; rel="first", </a?n=2>; rel="next"`}, "/a?n=2"},
		{"a comma and a semicolon in the target", []string{`</a?last=x,y;z&n=1>; rel="next"`}, "/a?last=x,y;z&n=1"},
		{"a comma in a quoted string", []string{`</a>; title="x, <b>; rel=\"next\""; rel=prev, </c>; rel=next`}, "/c"},
		{"the second line", []string{`</a>; rel="first"`, `</b>; rel="next"`}, "/b"},
		{"several relations", []string{`</a>; rel="last next"`}, "/a"},
		{"the first rel counts", []string{`</a>; rel=prev; rel=next`}, ""},
		{"no rel", []string{`</a>`}, ""},
		{"a word that has it in it", []string{`</a>; rel="nextpage"`, `</b>; xrel=next`}, ""},
		{"no end", []string{`</a; rel=next`}, ""},
		{"a quoted string without its end", []string{`</a>; rel="next`}, "/a"},
		{"nonsense before it", []string{`x,,;=, </a>;==;;rel=next`}, "/a"},
		{"nothing", nil, ""},
	} {
		if got, ok := Link(c.lines, "next"); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}

// FuzzLink: what is found stands in the line between "<" and ">", and one line says as much as two do.
func FuzzLink(f *testing.F) {
	for _, s := range []string{`</a?n=1>; rel="next"`, `</a>; title="x, <b>"; rel=prev, </c>; rel=next`, `<>;rel=next`,
		`</a>; rel="next`, `<a>;=`, `,,<`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, ok := Link([]string{line}, "next")
		if ok && !strings.Contains(line, "<"+got+">") || !ok && got != "" {
			t.Errorf("%q: %q, %v", line, got, ok)
		}
		if behind, found := Link([]string{`</first>; rel="first"`, line}, "next"); behind != got || found != ok {
			t.Errorf("%q: alone %q, behind another line %q", line, got, behind)
		}
		if before, _ := Link([]string{`</next>; rel="next", ` + line}, "next"); before != "/next" {
			t.Errorf("%q: the first is %q", line, before)
		}
	})
}
