package subscription

import (
	"strings"
	"testing"
)

func TestParseScope(t *testing.T) {
	for in, want := range map[string]Scope{
		"": {"", "*"}, "foo": {"foo", "latest"}, "foo:bar": {"foo", "bar"}, "foo:*": {"foo", "*"},
		"a/b-c__d.e:V_1.2-x": {"a/b-c__d.e", "V_1.2-x"},
	} {
		if got, err := ParseScope(in); err != nil || got != want {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"*", ":", ":v1", "foo:", "foo:v*", "foo*", "Foo", "/foo", "foo//bar", "a:b:c", "foo:.v",
		"foo\n", strings.Repeat("a", 256), "foo:" + strings.Repeat("a", 129)} {
		if got, err := ParseScope(in); err == nil {
			t.Errorf("%q became %v", in, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"", "foo", "foo:*", "foo:bar", "a/b:c", "a:b:c", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseScope(in)
		if err != nil {
			return
		}
		if in != "" && in != s.Repository+":"+s.Tag && in+":latest" != s.Repository+":"+s.Tag {
			t.Errorf("%q became %v", in, s)
		}
		if !s.Holds("x", "y") && in == "" || s.Repository != "" && s.Holds(s.Repository+"x", s.Tag) {
			t.Errorf("%q holds what it does not say", in)
		}
	})
}
