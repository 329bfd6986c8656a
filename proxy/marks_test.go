package proxy

import (
	"net/url"
	"strings"
	"testing"
)

func TestCutOwner(t *testing.T) {
	for _, test := range []struct{ query, owner, rest string }{
		{"", "", ""},
		{"_state=a%2Bb&digest=sha256:1", "", "_state=a%2Bb&digest=sha256:1"},
		{"fairlead-replica=west", "west", ""},
		{"_state=a%2Bb&fairlead-replica=west&digest=sha256:1", "west", "_state=a%2Bb&digest=sha256:1"},
		{"fairlead-replica=west&fairlead-replica=east", "west", ""},
		{"x=fairlead-replica&y;z=1", "", "x=fairlead-replica&y;z=1"},
		{"fairlead-replica", "", ""},
		{"fairlead-replica=west?digest=sha256:1", "west", "digest=sha256:1"},
		{"fairlead-replica=west?digest=sha256%3A1&x=2", "west", "digest=sha256%3A1&x=2"},
		{"a=b&fairlead-replica=west?digest=sha256:1", "west", "a=b&digest=sha256:1"},
		{"fairlead-replica=west%3Fdigest%3Dsha256%3A1", "west", "digest=sha256%3A1"},
		{"fairlead-replica=west%3Fa%3D%0D%0AHost:%20x", "west", "a=%0D%0AHost%3A+x"},
		{"digest=sha256:1&fairlead-replica=west", "west", "digest=sha256:1"},
		{"fairlead%2Dreplica=west&digest=sha256:1", "west", "digest=sha256:1"},
		{"fairlead%2dreplica=w%65st", "west", ""},
		{"fairlead-replica=west/", "west", ""},
		{"fairlead-replica=west#x", "west", ""},
		{"&&fairlead-replica=west&", "west", "&&"},
		{"fairlead-replica=west%", "", ""},
		{"fairlead-repository=team/app&fairlead-replica=west?digest=sha256:1", "west", "digest=sha256:1"},
		{"fairlead-repository=team%2Fapp&fairlead-replica=west", "west", ""},
		{"digest=sha256:1&fairlead-replica=west~1a2b3c4d", "west~1a2b3c4d", "digest=sha256:1"},
		{"fairlead-replica=west%7E1a2b3c4d?digest=sha256:1", "west~1a2b3c4d", "digest=sha256:1"},
		{"_state=a&fairlead-upload=empty&fairlead-replica=west&digest=x", "west", "_state=a&digest=x"},
	} {
		if owner, rest := cutOwner(test.query); owner != test.owner || rest != test.rest {
			t.Errorf("%q: %q %q", test.query, owner, rest)
		}
	}
}

func TestLocalLocation(t *testing.T) {
	asked, _ := url.Parse("http://10.0.0.1:5000/v2/app/blobs/uploads/")
	hosts := []string{"10.0.0.1:5000", "", "registry.contoso.com"}
	for _, test := range []struct {
		location, want string
		foreign        bool
		err            error
	}{
		{"/v2/app/blobs/uploads/1?_state=x", "/v2/app/blobs/uploads/1?_state=x&fairlead-replica=west", false, nil},
		{"1", "/v2/app/blobs/uploads/1?fairlead-replica=west", false, nil},
		{"http://10.0.0.1:5000/v2/u/1", "/v2/u/1?fairlead-replica=west", false, nil},
		{"https://Registry.Contoso.com/v2/u/1?fairlead-replica=east", "/v2/u/1?fairlead-replica=west", false, nil},
		{"http://evil.example/v2/u/1", "/v2/u/1?fairlead-replica=west", true, nil},
		{"//evil.example/v2/u/1", "/v2/u/1?fairlead-replica=west", true, nil},
		{"/v2/u/a%2Fb", "/v2/u/a%2Fb?fairlead-replica=west", false, nil},
		{"http://[::1", "", false, errBadLocation},
	} {
		u, foreign, err := localLocation(test.location, asked, hosts)
		if err != test.err || foreign != test.foreign {
			t.Errorf("%s: foreign %v, error %v", test.location, foreign, err)
		}
		if err == nil && withOwner(u, "west") != test.want {
			t.Errorf("%s: %s, want %s", test.location, withOwner(u, "west"), test.want)
		}
	}
}

func TestLinksWithOwner(t *testing.T) {
	asked, _ := url.Parse("http://10.0.0.1:5000/v2/app/tags/list?n=2")
	hosts := []string{"10.0.0.1:5000"}
	const named = "</v2/app/tags/list?last=b&fairlead-replica=west>"
	for _, test := range []struct{ line, want string }{
		{`</v2/app/tags/list?last=b&n=2>; rel="next"`,
			`</v2/app/tags/list?last=b&n=2&fairlead-replica=west>; rel="next"`},
		{`<http://10.0.0.1:5000/v2/app/tags/list?last=b>; rel="next"`, named + `; rel="next"`},
		{`<http://elsewhere.example/v2/app/tags/list?last=b>; rel="next"`,
			`<http://elsewhere.example/v2/app/tags/list?last=b>; rel="next"`},
		{`</v2/app/tags/list?last=b>;rel=next`, named + `;rel=next`},
		{`</v2/app/tags/list?last=b>; Rel="last NEXT"; title="a, <b>"`, named + `; Rel="last NEXT"; title="a, <b>"`},
		{`</v2/app/tags/list?last=b>; title="rel=next"`, `</v2/app/tags/list?last=b>; title="rel=next"`},
		{`<http://10.0.0.1/v2/app/tags/list?n=2>; rel="first", </v2/app/tags/list?last=b>; rel="next"`,
			`</v2/app/tags/list?n=2>; rel="first", ` + named + `; rel="next"`},
		{`</v2/app/tags/list?last=b>; rel="next", </v2/app/tags/list?n=2>; rel="first"`,
			named + `; rel="next", </v2/app/tags/list?n=2>; rel="first"`},
		{`garbage `, `garbage `}, {`<no end`, `<no end`}, {`<http://[`, `<http://[`},
		{`<http://[>; rel="next"`, `<http://[>; rel="next"`},
	} {
		if got := linksWithOwner(test.line, asked, hosts, "west"); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
}

// FuzzOwner: what a gateway puts into a Location, another takes out again, and nothing else changes.
func FuzzOwner(f *testing.F) {
	f.Add("/v2/app/blobs/uploads/1?_state=a%2Bb")
	f.Add("http://10.0.0.1:5000/x?fairlead-replica=east&&")
	asked, _ := url.Parse("http://10.0.0.1:5000/v2/app/blobs/uploads/")
	f.Fuzz(func(t *testing.T, location string) {
		u, _, err := localLocation(location, asked, nil)
		if err != nil {
			return
		}
		back, err := asked.Parse(withMarks(u, marks{owner: "west", upload: uploadEmpty}))
		if err != nil {
			t.Skip("not a URL that a client could follow")
		}
		_, plain := cutOwner(u.RawQuery)
		if strings.Contains(plain, ownerParam) || strings.Contains(plain, repositoryParam) ||
			strings.Contains(plain, uploadParam) {
			t.Skip("what is appended to ours names ours again")
		}
		m, rest := cutMarks(back.RawQuery)
		if m.owner != "west" || m.upload != uploadEmpty || rest != plain {
			t.Fatalf("%q: %+v, rest %q, want %q", location, m, rest, plain)
		}
	})
}
