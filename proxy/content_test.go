package proxy

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/ledger"
)

var (
	longDigest  = fmt.Sprintf("sha512:%x", sha512.Sum512([]byte(content)))
	otherDigest = sha256Of([]byte("{}"))
)

// says answers with a body, and with fields; "" for a length leaves it out.
func says(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(code)
		_ = http.NewResponseController(w).Flush() // so that its length is not said
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, body)
		}
	}
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// What a registry leaves out of its answer is computed; what it says must be true.
func TestDigestOfAManifest(t *testing.T) {
	t.Parallel()
	const signed = `{"schemaVersion":1,"signatures":[{}]}`
	const schema1 = "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws"
	said := func(digest string) string { return "Docker-Content-Digest: " + digest }
	for _, test := range []struct {
		name, line string
		answer     http.HandlerFunc
		status     int
		want       string
	}{
		{"a push", "PUT " + tagPath, says(201, ""), 201, digest},
		{"a push by digest", "PUT " + byDigest, says(201, ""), 201, digest},
		{"a push by a long digest", "PUT /v2/app/manifests/" + longDigest, says(201, ""), 201, longDigest},
		{"a push that is taken with 202", "PUT " + tagPath, says(202, ""), 202, digest},
		{"a push that is taken with 200", "PUT " + tagPath, says(200, ""), 200, digest},
		{"a push that is refused", "PUT " + tagPath, says(400, ""), 400, ""},
		{"a push under another name", "PUT " + tagPath, says(201, "", said(longDigest)), 201, longDigest},
		{"a push, and what is said is no digest", "PUT " + tagPath, says(201, "", said(`"`+digest+`"`)), 201, digest},
		{"a push, and what is kept is something else", "PUT " + tagPath, says(201, "", said(otherDigest)), 502, ""},

		{"HEAD of a tag", "HEAD " + tagPath, says(200, content), 200, digest},
		{"HEAD of a tag, compressed", "HEAD " + tagPath, says(200, packed(content), "Content-Encoding: gzip"), 200,
			digest},
		{"HEAD of a tag that is too large", "HEAD " + tagPath, says(200, "{"+strings.Repeat(" ", 1<<20)+"}"), 200, ""},
		{"HEAD of a tag that is a page", "HEAD " + tagPath,
			says(200, "<html>", "Content-Type: text/html; charset=utf-8"), 502, ""},
		{"HEAD of a digest", "HEAD " + byDigest, says(200, content), 200, digest},
		{"HEAD of what is not there", "HEAD " + tagPath, says(404, ""), 404, ""},
		{"GET of a tag", "GET " + tagPath, says(200, content), 200, digest},
		{"GET of a tag, compressed", "GET " + tagPath, says(200, packed(content), "Content-Encoding: gzip"), 200,
			digest},
		{"GET of a tag, compressed as nobody knows", "GET " + tagPath, says(200, "??", "Content-Encoding: br"), 200,
			""},
		{"GET of a tag under another name", "GET " + tagPath, says(200, content, said(longDigest)), 200, longDigest},
		{"GET of a tag, and the body is something else", "GET " + tagPath, says(200, content, said(otherDigest)), 502,
			""},
		{"GET of a tag, signed in schema 1", "GET " + tagPath, says(200, signed, schema1, said(otherDigest)), 200,
			otherDigest},
		{"GET of a tag, signed, of no type", "GET " + tagPath,
			says(200, signed, "Content-Type: application/json", said(otherDigest)), 200, otherDigest},
		{"GET of a tag of schema 1 that nobody signed", "GET " + tagPath,
			says(200, `{"schemaVersion":1}`, schema1, said(otherDigest)), 502, ""},
		{"GET of a tag, and the body is no manifest", "GET " + tagPath, says(200, "please sign in"), 502, ""},
		{"GET of a tag, and the body is empty", "GET " + tagPath, says(200, ""), 502, ""},
		{"GET of a digest", "GET " + byDigest, says(200, content), 200, digest},
		{"GET of a digest, and the body is something else", "GET " + byDigest, says(200, "{}"), 502, ""},
		{"GET of a digest, and the body is empty", "GET " + byDigest, says(200, ""), 502, ""},
		{"GET of a digest, and what is said is another", "GET " + byDigest, says(200, content, said(otherDigest)), 200,
			digest},
		{"tags as a page", "GET /v2/app/tags/list", says(200, "<html>", "Content-Type: text/html"), 502, ""},

		{"HEAD of a blob", "HEAD /v2/app/blobs/" + digest, says(200, content), 200, digest},
		{"GET of a blob", "GET /v2/app/blobs/" + digest, says(200, content), 200, digest},
		{"a blob is committed", "PUT " + uploads + "1?digest=" + digest, says(204, ""), 204, digest},
		{"a part of a blob", "PATCH " + uploads + "1", says(202, ""), 202, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.answer, "east": test.answer,
				"europe": test.answer}, func(c *rigConfig) { c.MaxManifest = 1 << 20 })
			var body io.Reader
			if strings.HasPrefix(test.line, "P") {
				body = strings.NewReader(content)
			}
			got := g.do(test.line, body, "Accept-Encoding: gzip, br")
			if said := got.header.Get(digestHeader); got.status != test.status || said != test.want {
				t.Errorf("got %d, digest %q, want %d %q", got.status, said, test.status, test.want)
			}
			if test.status == 502 && !g.troubled("west") {
				t.Error("no trouble was reported")
			}
			known, ok := g.proxy.Ledger.Known(ledger.Reference{Repository: "app", Name: "v1"})
			if pushed := test.line == "PUT "+tagPath && test.status < 300; ok != pushed || pushed &&
				known.Digest != test.want {
				t.Errorf("recorded %+v %v", known, ok)
			}
		})
	}
}

// What makes no sense at one replica may make some at the next.
func TestManifestFromWhoHasIt(t *testing.T) {
	for name, west := range map[string]http.HandlerFunc{
		"something else": says(200, "{}"), "a page": says(200, "<html>", "Content-Type: text/html"),
		"cut short":  cutShort,
		"no content": status(206, "Content-Range: bytes 0-0/1"), "not modified": status(304),
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": west, "east": status(200)}, nil)
		got := g.do("GET "+byDigest, nil)
		if g.want(got, 200, "east; reason=failover"); got.body != content || !g.troubled("west") {
			t.Errorf("%s: %v, trouble %q", name, got, g.trouble)
		}
	}
}

func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "7")
	_, _ = io.WriteString(w, content[:3])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// A body that is cut short is never a complete one for the client, however its end was to be known.
func TestABodyCutShort(t *testing.T) {
	for name, answer := range map[string]string{
		"with a length":   "HTTP/1.1 200 OK\nContent-Length: 7\n\n{\"a",
		"nothing of it":   "HTTP/1.1 200 OK\nContent-Length: 7\n\n",
		"in chunks":       "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\n{\"a\n",
		"up to the close": "HTTP/1.0 200 OK\n\n{\"a",
		"all missing":     "HTTP/1.1 200 OK\nConnection: close\n\n",
	} {
		for _, path := range []string{"/v2/app/blobs/" + digest, byDigest, tagPath} {
			g := newRig(t, map[string]http.HandlerFunc{"west": endingAfter(answer), "east": endingAfter(answer),
				"europe": endingAfter(answer)}, nil)
			got := g.do("GET "+path, nil)
			if got.status == 200 && got.err == nil {
				t.Errorf("%s, %s: passed off as whole: %q", name, path, got.body)
			}
		}
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": endingAfter("HTTP/1.0 200 OK\n\n" + content)}, nil)
	if got := g.do("GET /v2/app/blobs/"+digest, nil); got.body != content || got.err != nil {
		t.Errorf("whole up to the close: %v %v", got, got.err)
	}
}

// endingAfter writes text and ends the connection.
func endingAfter(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = both.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
		_ = both.Flush()
	}
}

// A list is looked into also where it comes compressed, whoever asked for that.
func TestReferrersThatAreCompressed(t *testing.T) {
	const empty, one = `{"schemaVersion":2,"manifests":[]}`, `{"schemaVersion":2,"manifests":[{"digest":"sha256:1"}]}`
	var asked string
	for name, west := range map[string]http.HandlerFunc{
		"as the client allows": func(w http.ResponseWriter, r *http.Request) {
			if asked = r.Header.Get("Accept-Encoding"); asked != "" {
				says(200, packed(empty), "Content-Encoding: gzip")(w, r)
				return
			}
			says(200, empty)(w, r)
		},
		"in any case":                says(200, packed(empty), "Content-Encoding: gzip"),
		"by its older name":          says(200, packed(empty), "Content-Encoding: X-GZIP"),
		"in name only":               says(200, empty, "Content-Encoding: identity"),
		"with more fields than that": says(200, packed(empty), "Content-Encoding: gzip", "Vary: Accept-Encoding"),
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": west, "east": says(200, one)}, nil)
		got := g.do("GET /v2/app/referrers/"+digest, nil, "Accept-Encoding: gzip, zstd")
		if g.want(got, 200, "east; reason=fallthrough"); got.body != one || asked != "" {
			t.Errorf("%s: %v, asked for %q", name, got, asked)
		}
	}
	bomb := says(200, packed(strings.Repeat(" ", 1<<20)+empty), "Content-Encoding: gzip")
	g := newRig(t, map[string]http.HandlerFunc{"west": bomb, "east": says(200, one)}, nil)
	g.want(g.do("GET /v2/app/referrers/"+digest, nil), 200, "west; reason=nearest")
}

// What a registry has locked stays locked, in whatever way it says so.
func TestALockThatIsCompressed(t *testing.T) {
	locked := says(405, packed(`{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION"}]}`), "Content-Encoding: gzip")
	g := newRig(t, map[string]http.HandlerFunc{"west": locked, "east": accepts}, nil)
	g.want(g.do("POST "+uploads, nil, "Accept-Encoding: gzip"), 405, "west; reason=nearest")
}
