package oci

import (
	"reflect"
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	for line, want := range map[string][]Element{
		``:    nil,
		` , `: nil,
		`</a?n=2>; rel="next"`: {
			{"/a?n=2", `; rel="next"`, []Parameter{{"rel", "next"}}},
		},
		`</a,b;c>;rel=first, </d> ; REL = "Next last" ; title="x, y; <z>"`: {
			{"/a,b;c", `;rel=first`, []Parameter{{"rel", "first"}}},
			{"/d", `; REL = "Next last" ; title="x, y; <z>"`,
				[]Parameter{{"rel", "Next last"}, {"title", "x, y; <z>"}}},
		},
		`</a>`: {{"/a", "", nil}},
		`for=192.0.2.1;proto=https,for="[2001:db8::1]:4711"`: {
			{"", `for=192.0.2.1;proto=https`, []Parameter{{"for", "192.0.2.1"}, {"proto", "https"}}},
			{"", `for="[2001:db8::1]:4711"`, []Parameter{{"for", "[2001:db8::1]:4711"}}},
		},
		`For="a\"b\\c";;secret`: {{"", `For="a\"b\\c";;secret`, []Parameter{{"for", `a"b\c`}, {"secret", ""}}}},
	} {
		got, err := List(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{`<a`, `<a> b`, `for="a`, `for="a" b`, `for="a"b`, `="x"`, `a b`, `for=a"b"`, `"x"`,
		`a;=b`, `for="a\`} {
		if got, err := List(line); err == nil {
			t.Errorf("%s: read as %+v", line, got)
		}
	}
}

func TestRel(t *testing.T) {
	for text, want := range map[string]bool{
		`rel="next"`: true, `rel=next`: true, `rel="last NEXT"`: true, `Rel="Next"`: true, `title="rel=next"`: false,
		`rel="nextish"`:     false,
		`rel=prev;rel=next`: false, `x="a;rel=next"`: false, ``: false,
	} {
		all, err := List("</x>;" + text)
		if err != nil || len(all) != 1 || all[0].Rel("next") != want {
			t.Errorf("%s: %+v %v", text, all, err)
		}
	}
}

// separated is List's slow twin for where its elements end: a comma counts if an even number of quotes, and no open <,
// stand before it.
func separated(line string) (elements []string) {
	quoted, angle, escaped, from := false, false, false, 0
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line) || line[i] == ',' && !quoted && !angle:
			if e := strings.Trim(line[from:i], " \t"); e != "" {
				elements = append(elements, e)
			}
			from = i + 1
		case escaped:
			escaped = false
		case quoted && line[i] == '\\':
			escaped = true
		case line[i] == '"' && !angle:
			quoted = !quoted
		case line[i] == '<' && !quoted && strings.Trim(line[from:i], " \t") == "":
			angle = true
		case line[i] == '>':
			angle = angle && quoted
		}
	}
	return elements
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{
		`</a?n=2>; rel="next"`, `for=192.0.2.1;proto=https,for="[2001:db8::1]:4711"`, `for="_a\"b,", for=x`,
		`<a,b>;rel="c,d" , <e>`, `for=", for="[::1]:80"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, err := List(line)
		if err != nil {
			return
		}
		want := separated(line)
		if len(got) != len(want) {
			t.Fatalf("%q: %d elements, want %q", line, len(got), want)
		}
		for i, e := range got {
			written := e.Text
			if strings.HasPrefix(want[i], "<") {
				written = "<" + e.Target + ">" + e.Text
			}
			again, err := List(written)
			if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], e) {
				t.Fatalf("%q: %q is read as %+v %v, want %+v", line, written, again, err, e)
			}
		}
	})
}
