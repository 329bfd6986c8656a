package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// What is not exactly a path and a method of the spec reaches no replica, unless it only reads what is no content.
func TestRefusals(t *testing.T) {
	const manifest, blob, upload = "/v2/app/manifests/v1", "/v2/app/blobs/" + digest, uploads + "1"
	writes := []string{"POST", "PUT", "PATCH", "DELETE"}
	reads := []string{"GET", "HEAD"}
	g := newRig(t, map[string]http.HandlerFunc{"west": status(200), "east": status(200), "europe": status(200)},
		func(c *rigConfig) { unlogged(c); c.Paths = []string{"/service/token"} })
	for _, test := range []struct {
		methods []string
		path    string
		status  int
		code    string // "": the replica answers
	}{
		{[]string{"PUT", "DELETE", "GET", "HEAD", "OPTIONS"}, manifest, 200, ""},
		{[]string{"POST", "PATCH"}, manifest, 405, codeUnsupported},
		{[]string{"put", "Put", "TRACE", "FETCH", "PROPFIND"}, manifest, 405, codeUnsupported},
		{[]string{"FETCH"}, "/service/token", 405, codeUnsupported},
		{[]string{"POST", "PUT"}, "/service/token", 200, ""},
		{[]string{"POST", "GET"}, "/v2/token", 200, ""},
		{[]string{"PUT", "PATCH", "DELETE"}, "/v2/token", 405, codeUnsupported},
		{writes, "/v2/", 405, codeUnsupported},
		{writes, "/v2", 405, codeUnsupported},
		{writes, "/v2/_catalog", 405, codeUnsupported},
		{[]string{"DELETE"}, blob, 200, ""},
		{[]string{"POST", "PUT", "PATCH"}, blob, 405, codeUnsupported},
		{[]string{"POST"}, uploads, 200, ""},
		{[]string{"POST"}, "/v2/app/blobs/uploads", 200, ""},
		{[]string{"PUT", "PATCH", "DELETE"}, uploads, 405, codeUnsupported},
		{[]string{"GET", "HEAD", "OPTIONS"}, uploads, 200, ""},
		{[]string{"PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"}, upload, 200, ""},
		{[]string{"PATCH"}, uploads + "a%2Fb%3Fc", 200, ""},
		{[]string{"POST"}, upload, 405, codeUnsupported},
		{writes, "/v2/app/tags/list", 405, codeUnsupported},
		{writes, "/v2/app/referrers/" + digest, 405, codeUnsupported},

		{writes, manifest + "/", 404, codeNameUnknown},
		{reads, manifest + "/", 404, codeNameUnknown},
		{writes, "/v2/app/Manifests/v1", 404, codeNameUnknown},
		{reads, "/v2/app/Manifests/v1", 404, codeNameUnknown},
		{reads, "/V2/app/manifests/v1", 404, codeNameUnknown},
		{writes, blob + "/", 404, codeNameUnknown},
		{reads, "/v2/app/BLOBS/" + digest, 404, codeNameUnknown},
		{writes, "/v2/App/manifests/v1", 400, codeNameInvalid},
		{reads, "/v2/App/manifests/v1", 404, codeNameUnknown},
		{writes, "/v2/App/blobs/uploads/", 400, codeNameInvalid},
		{writes, "/v2/A/app/blobs/uploads/1", 400, codeNameInvalid},
		{writes, "/v2/localhost:5000/app/manifests/v1", 400, codeNameInvalid},
		{writes, "/v2/app/blobs/uploads/Manifests/v1", 404, codeNameUnknown},
		{writes, "/v2/app/blobs/uploads/manifests/v1/", 404, codeNameUnknown},
		{writes, "/v2/app/manifests/", 404, codeNameUnknown},
		{writes, "/v2/app/manifests/v1/more", 404, codeNameUnknown},
		{writes, "/v2/app/_trust/tuf/root.json", 404, codeNameUnknown},
		{writes, "/v2/app/tags/v1", 404, codeNameUnknown},
		{writes, "/v2/app/", 404, codeNameUnknown},
		{writes, "/v2/_ext/app", 404, codeNameUnknown},
		{[]string{"PUT", "DELETE"}, "/v2/app/manifests/.v1", 400, codeManifestInvalid},
		{[]string{"PUT", "DELETE"}, "/v2/app/manifests/v1%3Fx", 400, codeManifestInvalid},
		{[]string{"PUT", "DELETE"}, "/v2/app/manifests/sha256:1", 400, codeDigestInvalid},
		{[]string{"DELETE"}, "/v2/app/blobs/v1", 400, codeDigestInvalid},
		{[]string{"PATCH", "PUT", "GET"}, "/v2/app%2Fblobs/uploads/1", 404, codeNameUnknown},
		{[]string{"PATCH", "PUT", "GET"}, "/v2/app/manifests/blobs%2Fuploads%2F1", 404, codeNameUnknown},

		{reads, "/v2/app/manifests/.v1", 200, ""},
		{reads, "/v2/a..b/manifests/v1", 200, ""},
		{reads, "/v2/app/manifests/v1/more", 200, ""},
		{reads, "/v2/app/_trust/tuf/root.json", 200, ""},
		{reads, "/v2/app/tags/list/", 200, ""},
		{reads, "/v2/_oci/ext/discover", 200, ""},
		{[]string{"OPTIONS"}, "/v2/App/manifests/v1", 200, ""},
	} {
		for _, method := range test.methods {
			got := g.do(method+" "+test.path, nil)
			reached := len(g.take()) > 0
			if got.status != test.status || reached != (test.code == "") || method != "HEAD" &&
				!strings.Contains(got.body, test.code) {
				t.Errorf("%s %s: %v, reached a replica: %v; want %d %s", method, test.path, got, reached, test.status,
					test.code)
			}
			if allow := got.header.Get("Allow"); (allow != "") != (test.status == 405) {
				t.Errorf("%s %s: Allow %q", method, test.path, allow)
			}
		}
	}
}

func TestAllowed(t *testing.T) {
	g := newRig(t, nil, nil)
	for path, want := range map[string]string{
		"/v2/app/manifests/v1": "GET, HEAD, OPTIONS, DELETE, PUT", "/v2/": "GET, HEAD, OPTIONS",
		uploads + "1": "GET, HEAD, OPTIONS, DELETE, PATCH, PUT",
	} {
		if got := g.do("POST "+path, nil).header.Get("Allow"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// A replica gets the path as it was read here, and no header by which it might read another one, or another method.
func TestOneSpelling(t *testing.T) {
	seen := make(chan *http.Request, 1)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r
		w.WriteHeader(http.StatusCreated)
	}}, nil)
	for line, want := range map[string]string{
		"PUT /v2/team%2Fapp/manifests/v1":                                  "/v2/team/app/manifests/v1",
		"PUT /v2/app/m%61nifests/v1?ns=x":                                  "/v2/app/manifests/v1?ns=x",
		"PUT /v2/app/manifests/" + strings.Replace(digest, ":", "%3A", 1):  "/v2/app/manifests/" + digest,
		"PUT /v2/app/manifests/" + digest + "?tag=v1&a=b&t%61g=v2&c;tag=x": "/v2/app/manifests/" + digest + "?a=b",
		"PUT /v2/app/manifests/v1?tag=v2":                                  "/v2/app/manifests/v1?tag=v2",

		"PATCH /v2/app/blobs/uploads/a%2Fb%3D?_state=x%3Dy": "/v2/app/blobs/uploads/a%2Fb%3D?_state=x%3Dy",
		"GET /v2/_oci%2Fext/discover":                       "/v2/_oci/ext/discover",
	} {
		g.do(line, strings.NewReader("{}"), "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE",
			"X-HTTP-Method: DELETE",
			"X-Original-URL: /v2/other/manifests/v1", "X-Rewrite-URL: /v2/other/manifests/v1")
		got := await(t, seen, line)
		if got.RequestURI != want {
			t.Errorf("%s: the replica got %s, want %s", line, got.RequestURI, want)
		}
		for name := range got.Header {
			if strings.Contains(name, "Method") || strings.Contains(name, "Url") {
				t.Errorf("%s: the replica got %s", line, name)
			}
		}
	}
}

// A client that looks for an answer only when it has sent all gets one.
func TestRefusalOfALargeBody(t *testing.T) {
	g := newRig(t, nil, nil)
	body := random(16 << 20)
	conn := g.send(plain("PUT /v2/App/manifests/v1", "", "Content-Length: "+strconv.Itoa(len(body))))
	if _, err := conn.Write(body); err != nil {
		t.Error(err)
	}
	g.want(g.next(bufio.NewReader(conn), http.MethodPut), 400, "-")
}
