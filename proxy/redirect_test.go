package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/upstream"
)

// With host:, a registry may call itself what no client can resolve.
func TestOwnNamesStayInside(t *testing.T) {
	const front = "registry.contoso.com"
	for _, test := range []struct {
		name, line string
		status     int
		answer     string // a field; UPSTREAM stands for the replica's address
		want       string
	}{
		{"a blob", "GET /v2/app/blobs/" + digest, 307, "Location: http://westus.internal/blobstore/x?a=%2F",
			"/blobstore/x?a=%2F&fairlead-replica=west"},
		{"a blob by the port that it is asked at", "GET /v2/app/blobs/" + digest, 307,
			"Location: http://westus.internal:PORT/blobstore/x", "/blobstore/x?fairlead-replica=west"},
		{"a blob by its address", "HEAD /v2/app/blobs/" + digest, 302, "Location: http://UPSTREAM/blobstore/x",
			"/blobstore/x?fairlead-replica=west"},
		{"a manifest", "GET " + tagPath, 301, "Location: https://WestUS.internal/v2/app/manifests/v2",
			"/v2/app/manifests/v2"},
		{"by the client's name", "GET " + tagPath, 308, "Location: https://" + front + "/v2/app/manifests/v2",
			"/v2/app/manifests/v2"},
		{"object storage", "GET /v2/app/blobs/" + digest, 307, "Location: https://bucket.example/x?sig=a%2Bb%3D",
			"https://bucket.example/x?sig=a%2Bb%3D"},
		{"object storage beside it", "GET /v2/app/blobs/" + digest, 307,
			"Location: http://westus.internal:9000/bucket/x", "http://westus.internal:9000/bucket/x"},

		{"a challenge", "GET /v2/", 401,
			`WWW-Authenticate: Bearer realm="http://westus.internal/service/token?a=b",service="x"`,
			`Bearer realm="http://` + front + `/service/token?a=b",service="x"`},
		{"the second of two", "GET /v2/", 401,
			`WWW-Authenticate: Basic realm="a", bearer REALM="http://UPSTREAM/service/token"`,
			`Basic realm="a", bearer realm="http://` + front + `/service/token"`},
		{"a challenge to a path that is not listed", "GET /v2/", 401,
			`WWW-Authenticate: Bearer realm="http://westus.internal/oauth2/token"`,
			`Bearer realm="http://westus.internal/oauth2/token"`},
		{"a challenge elsewhere", "GET /v2/", 401,
			`WWW-Authenticate: Bearer realm="https://auth.example/service/token"`,
			`Bearer realm="https://auth.example/service/token"`},
		{"a challenge by the client's own name", "GET /v2/", 401,
			`WWW-Authenticate: Bearer realm="https://` + front + `/service/token"`,
			`Bearer realm="https://` + front + `/service/token"`},
		{"not from TLS to clear text", "GET /v2/", 401,
			`WWW-Authenticate: Bearer realm="https://westus.internal/service/token"`,
			`Bearer realm="https://westus.internal/service/token"`},
		{"no URL", "GET /v2/", 401, `WWW-Authenticate: Basic realm="a registry"`, `Basic realm="a registry"`},
	} {
		var address *url.URL
		filled := func(text string) string {
			return strings.NewReplacer("UPSTREAM", address.Host, "PORT", address.Port()).Replace(text)
		}
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			status(test.status, filled(test.answer))(w, r)
		}}, func(c *rigConfig) {
			c.Paths = []string{"/service/token", "/blobstore/*"}
			i := slices.IndexFunc(c.reach.Endpoints, func(u upstream.Endpoint) bool { return u.Name == "west" })
			c.reach.Endpoints[i].Host = "westus.internal"
			address = c.reach.Endpoints[i].URL
		})
		name, _, _ := strings.Cut(test.answer, ": ")
		if got := g.do(test.line, nil, "Host: "+front); got.status != test.status || got.header.Get(name) != test.want {
			t.Errorf("%s: %d, %s %q, want %q", test.name, got.status, name, got.header.Get(name), test.want)
		}
	}
}
