package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNodeAddr(t *testing.T) {
	for node, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:4711": "192.0.2.1", "192.0.2.1:_obf": "192.0.2.1",
		"192.0.2.1:":  "192.0.2.1",
		"2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "[2001:db8::1]:4711": "2001:db8::1",
		"[2001:db8::1]:_obf": "2001:db8::1",
		"::ffff:192.0.2.1":   "192.0.2.1", "[::ffff:192.0.2.1]:4711": "192.0.2.1", "fe80::1%eth0": "fe80::1",
		"[fe80::1%25eth0]": "fe80::1",
		"":                 "", "unknown": "", "_hidden": "", "_hidden:80": "", "192.0.2.1:x": "",
		"192.0.2.1:123456": "",
		"[192.0.2.1]":      "", "[2001:db8::1": "",
		"2001:db8::1]": "", "[2001:db8::1]4711": "", "[]": "", "192.0.2.256": "", "192.0.2.1:80:80": "",
		"example.com": "", "192.0.2.1:_a b": "",
	} {
		if got := nodeAddr(node); got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
			t.Errorf("%q: %s, want %q", node, got, want)
		}
	}
}

func TestForwardedFor(t *testing.T) {
	for _, test := range []struct {
		name                     string
		xForwardedFor, forwarded []string
		want                     string
	}{
		{"ports", []string{"198.51.100.1:40112, [2001:db8::1]:80"}, nil, "198.51.100.1 2001:db8::1"},
		{"quotes", []string{`"198.51.100.1:40112","2001:db8::1"`}, nil, "198.51.100.1 2001:db8::1"},
		{"lines", []string{"198.51.100.1", "", "198.51.100.2"}, nil, "198.51.100.1 - 198.51.100.2"},
		{"Forwarded", nil, []string{`for=198.51.100.1;proto=https, For="[2001:db8::1]:4711" ; by=_x`},
			"198.51.100.1 2001:db8::1"},
		{"several lines of it", nil, []string{`for=198.51.100.1`, `for="198.51.100.2:80"`},
			"198.51.100.1 198.51.100.2"},
		{"what is no address", nil, []string{`for=unknown, for=_secret, proto=https, for=198.51.100.1`},
			"- - - 198.51.100.1"},
		{"a line that cannot be read", nil, []string{`for=198.51.100.1;x="`, `for=198.51.100.2`}, "- 198.51.100.2"},
		{"a quote that swallows what the proxy wrote", nil, []string{`for=198.51.100.1;x=", for="[2001:db8::1]:80"`},
			"-"},
		{"both", []string{"198.51.100.1"}, []string{"for=198.51.100.2"}, "198.51.100.1"},
		{"both, one of them empty", []string{""}, []string{"for=198.51.100.2"}, "-"},
		{"neither", nil, nil, ""},
	} {
		var got []string
		for _, a := range forwardedFor(http.Header{"X-Forwarded-For": test.xForwardedFor,
			"Forwarded": test.forwarded}) {
			text := "-"
			if a.IsValid() {
				text = a.String()
			}
			got = append(got, text)
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %s, want %s", test.name, s, test.want)
		}
	}
}

// FuzzForwarded: whatever a client writes before it, what a trusted proxy appends in the same line or in the next one
// is read as it was written, or not at all.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{`for=192.0.2.1`, `for="`, `for=192.0.2.1;x="`, `for="\`, `for="a",`, `<`,
		`for="[::1]`} {
		f.Add(seed)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, written string) {
		if strings.ContainsAny(written, "\r\n") {
			return
		}
		for _, appended := range []string{`for=198.51.100.1`, `for="198.51.100.1:80"`,
			`for="198.51.100.1";by="10.0.0.1";host="a"`} {
			for _, lines := range [][]string{{written + ", " + appended}, {written, appended}} {
				r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"Forwarded": lines}}
				if got := clientAddr(r, trusted).String(); got != "198.51.100.1" &&
					(len(lines) > 1 || got != "10.0.0.1") {
					t.Fatalf("%q: %s", lines, got)
				}
			}
			r := &http.Request{RemoteAddr: "10.0.0.1:1",
				Header: http.Header{"X-Forwarded-For": {written + ", 198.51.100.1:80"}, "Forwarded": {written}}}
			if got := clientAddr(r, trusted).String(); got != "198.51.100.1" {
				t.Fatalf("%q: %s", written, got)
			}
		}
	})
}

// A replica is told by X-Forwarded-* also what a proxy has said in the other form: registries read no other.
func TestForwardedIsPassedOn(t *testing.T) {
	var got http.Header
	g := newRig(t, map[string]http.HandlerFunc{"west": func(_ http.ResponseWriter,
		r *http.Request) {
		got = r.Header.Clone()
	}}, trustLoopback)
	const forwarded = `Forwarded: for=192.0.2.1;proto=http, for="203.0.113.9:80";proto=https;host=front.example`
	g.want(g.do("GET /v2/", nil, forwarded), 200, "west; reason=nearest")
	for name, want := range map[string][]string{
		"X-Forwarded-For": {"203.0.113.9, 127.0.0.1"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"front.example"}, "Forwarded": nil,
	} {
		if !slices.Equal(got.Values(name), want) {
			t.Errorf("%s: %q, want %q", name, got.Values(name), want)
		}
	}
}
