package proxy

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestFieldsThatPass: what a replica gets of a client's fields, and a client of a replica's. Requests go over the
// wire as they stand.
func TestFieldsThatPass(t *testing.T) {
	t.Parallel()
	const get, put = "GET /v2/app/tags/list", "PUT " + uploads + "1"
	for _, test := range []struct {
		name    string
		config  func(*rigConfig)
		line    string
		headers []string
		field   string
		want    []string
	}{
		{"what is not known passes", nil, get, []string{"X-Something: a", "X-Something: b"}, "X-Something",
			[]string{"a", "b"}},
		{"what Connection names", nil, get, []string{"Connection: X-Secret", "X-Secret: a"}, "X-Secret", nil},
		{"in other letters", nil, get, []string{"Connection: close, x-SECRET", "X-Secret: a"}, "X-Secret", nil},
		{"in a second line", nil, get, []string{"Connection: keep-alive", "Connection: X-Secret", "X-Secret: a"},
			"X-Secret", nil},
		{"Connection itself", nil, get, []string{"Connection: X-Secret"}, "Connection", nil},
		{"Expect of a GET", nil, get, []string{"Expect: 100-continue"}, "Expect", nil},
		{"Expect of an upload", nil, put, []string{"Expect: 100-continue", "Content-Length: 1"}, "Expect",
			[]string{"100-continue"}},
		{"Via is begun", nil, get, nil, "Via", []string{"1.1 fairlead"}},
		{"Via goes on", nil, get, []string{"Via: 2 front"}, "Via", []string{"2 front", "1.1 fairlead"}},
		{"a method in another place", nil, get, []string{"X-HTTP-Method-Override: DELETE"}, "X-Http-Method-Override",
			nil},
		{"a method, of a trusted proxy", trustLoopback, get, []string{"X-HTTP-Method-Override: DELETE"},
			"X-Http-Method-Override", nil},
		{"a path in another place", nil, get, []string{"X-Original-URL: /metrics"}, "X-Original-Url", nil},
		{"an address of anybody's", nil, get, []string{"X-Real-IP: 203.0.113.9"}, "X-Real-Ip", nil},
		{"an address by CDNs", nil, get, []string{"True-Client-IP: 203.0.113.9"}, "True-Client-Ip", nil},
		{"a trusted proxy's", trustLoopback, get, []string{"X-Real-IP: 203.0.113.9"}, "X-Real-Ip",
			[]string{"203.0.113.9"}},
		{"a port", nil, get, []string{"X-Forwarded-Port: 1"}, "X-Forwarded-Port", nil},
		{"a trusted proxy's port", trustLoopback, get, []string{"X-Forwarded-Port: 443"}, "X-Forwarded-Port",
			[]string{"443"}},
		{"a prefix", nil, get, []string{"X-Forwarded-Prefix: /a"}, "X-Forwarded-Prefix", nil},
		{"a user", nil, get, []string{"X-Forwarded-User: root"}, "X-Forwarded-User", nil},
		{"Forwarded", nil, get, []string{"Forwarded: for=203.0.113.9"}, "Forwarded", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got http.Header
			g := newRig(t, map[string]http.HandlerFunc{"west": func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header.Clone()
				_, _ = io.Copy(io.Discard, r.Body)
			}}, test.config)
			conn := g.send(plain(test.line, "", test.headers...))
			if strings.HasPrefix(test.line, "PUT") {
				_, _ = io.WriteString(conn, "a")
			}
			method, _, _ := strings.Cut(test.line, " ")
			g.next(bufio.NewReader(conn), method)
			if got == nil || !slices.Equal(got[test.field], test.want) {
				t.Errorf("the replica got %s %q, want %q", test.field, got[test.field], test.want)
			}
		})
	}
}

func TestFieldsOfAnswers(t *testing.T) {
	t.Parallel()
	answer := func(headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				w.Header().Add(name, value)
			}
			_, _ = io.WriteString(w, "<html><script>alert(1)</script>")
		}
	}
	for _, test := range []struct {
		name    string
		replica http.HandlerFunc
		field   string
		want    []string
	}{
		{"no type is guessed", answer(), "Content-Type", nil},
		{"a type passes", answer("Content-Type: application/x"), "Content-Type", []string{"application/x"}},
		{"what Connection names", answer("Connection: X-Secret", "X-Secret: a"), "X-Secret", nil},
		{"Via is begun", answer(), "Via", []string{"1.1 fairlead"}},
		{"Via goes on", answer("Via: 1.1 back"), "Via", []string{"1.1 back", "1.1 fairlead"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.replica}, nil)
			got := g.do("GET /v2/app/blobs/"+digest, nil)
			if got.status != 200 || !slices.Equal(got.header[test.field], test.want) {
				t.Errorf("the client got %s %q, want %q: %v", test.field, got.header[test.field], test.want, got)
			}
		})
	}
}

// TestRequestsByVersion: what each version of HTTP makes of a request.
func TestRequestsByVersion(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}}, nil)
	for request, want := range map[string]string{
		"GET /v2/ HTTP/1.0\r\n\r\n":                                                   "HTTP/1.0 200",
		"GET /v2/ HTTP/1.0\r\nHost:\r\n\r\n":                                          "HTTP/1.0 200",
		"GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n":                                          "HTTP/1.1 400",
		"GET /v2/ HTTP/1.1\r\n\r\n":                                                   "HTTP/1.1 400",
		"GET /v2/ HTTP/1.1\r\nHost: registry.contoso.com\r\n\r\n":                     "HTTP/1.1 103",
		"TRACE /v2/ HTTP/1.1\r\nHost: registry.contoso.com\r\n\r\n":                   "HTTP/1.1 405",
		"GET /v2/ HTTP/1.1\r\nHost: registry.contoso.com\r\nExpect: miracles\r\n\r\n": "HTTP/1.1 417",
	} {
		if line, _ := bufio.NewReader(g.send(request)).ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("%q: %q, want %s", request, line, want)
		}
	}
}

// TestOwnersOfContent: whoever copies our parameter to what is no upload and no page is served as without it.
func TestOwnersOfContent(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]http.HandlerFunc{"east": status(200)}, nil)
	for _, line := range []string{"GET " + byDigest, "HEAD " + byDigest, "GET /v2/app/manifests/v1",
		"GET /v2/app/blobs/" + digest} {
		got := g.do(line+"?ns=docker.io&fairlead-replica=west", nil)
		if got.status != 200 || !strings.HasPrefix(got.by, "east;") {
			t.Error(line, got)
		}
	}
	for _, seen := range g.take() {
		if strings.Contains(seen, "fairlead") || strings.HasPrefix(seen, "east") &&
			!strings.Contains(seen, "ns=docker.io") {
			t.Error("a replica was asked", seen)
		}
	}
}
