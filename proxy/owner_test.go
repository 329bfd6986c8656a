package proxy

import (
	"net/url"
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

func TestLinkWithOwner(t *testing.T) {
	asked, _ := url.Parse("http://10.0.0.1:5000/v2/app/tags/list?n=2")
	hosts := []string{"10.0.0.1:5000"}
	for link, want := range map[string]string{
		`</v2/app/tags/list?last=b&n=2>; rel="next"`:                     `</v2/app/tags/list?last=b&n=2&fairlead-replica=west>; rel="next"`,
		`<http://10.0.0.1:5000/v2/app/tags/list?last=b>; rel="next"`:     `</v2/app/tags/list?last=b&fairlead-replica=west>; rel="next"`,
		`<http://elsewhere.example/v2/app/tags/list?last=b>; rel="next"`: `<http://elsewhere.example/v2/app/tags/list?last=b>; rel="next"`,
		`garbage`:   `garbage`,
		`<no end`:   `<no end`,
		`<http://[`: `<http://[`,
	} {
		if got := linkWithOwner(link, asked, hosts, "west"); got != want {
			t.Errorf("%s: %s, want %s", link, got, want)
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
		back, err := asked.Parse(withOwner(u, "west"))
		if err != nil {
			t.Skip("not a URL that a client could follow")
		}
		_, plain := cutOwner(u.RawQuery)
		if owner, rest := cutOwner(back.RawQuery); owner != "west" || rest != plain {
			t.Fatalf("%q: owner %q, rest %q, want %q", location, owner, rest, plain)
		}
	})
}
