package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func trustLoopback(c *rigConfig) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

func TestForwardedHeaders(t *testing.T) {
	said := []string{"Host: registry.contoso.com", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: front.example"}
	for _, test := range []struct {
		name              string
		config            func(*rigConfig)
		headers           []string
		addr, proto, host string
	}{
		{"from anybody", nil, said, "127.0.0.1", "http", "registry.contoso.com"},
		{"from a trusted proxy", trustLoopback, said, "203.0.113.9, 127.0.0.1", "https", "front.example"},
		{"a trusted proxy that says nothing", trustLoopback, said[:1], "127.0.0.1", "http", "registry.contoso.com"},
	} {
		var got http.Header
		g := newRig(t, map[string]http.HandlerFunc{"west": func(_ http.ResponseWriter,
			r *http.Request) {
			got = r.Header.Clone()
		}}, test.config)
		g.want(g.do("GET /v2/", nil, test.headers...), 200, "west; reason=nearest")
		for name, want := range map[string]string{"X-Forwarded-For": test.addr, "X-Forwarded-Proto": test.proto,
			"X-Forwarded-Host": test.host} {
			if got := strings.Join(got.Values(name), "|"); got != want {
				t.Errorf("%s: the replica got %s %q, want %q", test.name, name, got, want)
			}
		}
	}
}

// A replica may call itself what the client calls it, and it is told that by X-Forwarded-Host.
func TestLocationByForwardedHost(t *testing.T) {
	west := map[string]http.HandlerFunc{"west": status(202, "Location: https://front.example"+uploads+"1")}
	for _, test := range []struct {
		config func(*rigConfig)
		status int
	}{{trustLoopback, 202}, {nil, 502}} {
		g := newRig(t, west, test.config)
		got := g.do("POST "+uploads, nil, "X-Forwarded-Host: front.example")
		if l := got.header.Get("Location"); got.status != test.status || got.status == 202 &&
			l != uploads+"1?fairlead-upload=empty&fairlead-replica=west" {
			t.Errorf("%v, want %d; Location %q", got, test.status, l)
		}
	}
}

func TestLocations(t *testing.T) {
	for _, test := range []struct {
		line     string
		status   int
		location string // HOST stands for the replica's
		want     string
	}{
		{"POST " + uploads, 202, "http://HOST" + uploads + "1", uploads + "1?fairlead-upload=empty&fairlead-replica=west"},
		{"GET " + uploads + "1", 204, "http://HOST" + uploads + "1?_state=a%2Bb",
			uploads + "1?_state=a%2Bb&fairlead-replica=west"},
		{"PATCH " + uploads + "1", 416, "http://HOST" + uploads + "1", uploads + "1?fairlead-replica=west"},
		{"PUT " + uploads + "1?digest=x", 201, "http://HOST/v2/app/blobs/" + digest, "/v2/app/blobs/" + digest},
		{"PUT /v2/app/manifests/v1", 201, "/v2/app/manifests/v1?ns=a&fairlead-replica=east",
			"/v2/app/manifests/v1?ns=a"},
		{"PUT /v2/app/manifests/v1", 201, "//evil.example/x", ""},
		{"PUT /v2/app/manifests/v1", 201, "http://HOST//evil.example/x", ""},
		{"PUT /v2/app/manifests/v1", 201, "http://HOST//evil.example/v2/", ""},
		{"PUT /v2/app/manifests/v1", 201, "/v2//evil.example/x", ""},
		{"GET /v2/app/blobs/" + digest, 307, "http://HOST/storage?a=b", "/storage?a=b&fairlead-replica=west"},
		{"GET /v2/app/blobs/" + digest, 307, "/storage", "/storage?fairlead-replica=west"},
		{"GET /v2/app/blobs/" + digest, 307, "http://HOST/v2/other/blobs/x", "/v2/other/blobs/x"},
		{"GET /v2/app/blobs/" + digest, 307, "http://127.0.0.1:9/storage", "http://127.0.0.1:9/storage"},
		{"GET /v2/app/blobs/" + digest, 307, "https://storage.example/x?sig=a%2Bb",
			"https://storage.example/x?sig=a%2Bb"},
		{"PATCH " + uploads + "1", 201, "http://HOST" + uploads + "1", uploads + "1?fairlead-replica=west"},
		{"PATCH " + uploads + "1", 200, uploads + "2", uploads + "2?fairlead-replica=west"},
		{"PATCH " + uploads + "1", 204, uploads + "2?_state=a", uploads + "2?_state=a&fairlead-replica=west"},
		{"POST " + uploads, 201, uploads + "2", uploads + "2?fairlead-upload=empty&fairlead-replica=west"},
		{"POST " + uploads, 200, uploads + "2", uploads + "2?fairlead-upload=empty&fairlead-replica=west"},
		{"POST " + uploads + "?digest=" + digest, 201, uploads + "2", uploads + "2?fairlead-upload=empty&fairlead-replica=west"},
		{"POST " + uploads + "?digest=" + digest, 202, uploads + "2", uploads + "2?fairlead-upload=empty&fairlead-replica=west"},
		{"POST " + uploads + "?mount=" + digest + "&from=b", 200, "http://HOST/v2/app/blobs/" + digest,
			"/v2/app/blobs/" + digest},
		{"PUT " + uploads + "1?digest=" + digest, 202, "http://HOST/v2/app/blobs/" + digest, "/v2/app/blobs/" + digest},
		{"PUT " + uploads + "1?digest=" + digest, 204, "http://HOST/v2/app/blobs/" + digest, "/v2/app/blobs/" + digest},
		{"PUT /v2/app/manifests/v1", 202, "http://HOST/v2/app/manifests/v1", "/v2/app/manifests/v1"},
		{"PUT /v2/app/manifests/v1", 200, "http://elsewhere.example/x", ""},
		{"DELETE /v2/app/manifests/v1", 202, "http://HOST/v2/app/manifests/v1", "/v2/app/manifests/v1"},
		{"GET /v2/app/manifests/v1", 201, "https://elsewhere.example/x", "https://elsewhere.example/x"},
	} {
		var host string
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			host = r.Host
			status(test.status, "Location: "+strings.ReplaceAll(test.location, "HOST", host))(w, r)
		}}, nil)
		got := g.do(test.line, nil)
		want := strings.ReplaceAll(test.want, "HOST", host)
		if l := got.header.Get("Location"); got.status != test.status || l != want {
			t.Errorf("%s: %v, Location %q, want %q", test.line, got, l, want)
		}
	}
}

func TestLinks(t *testing.T) {
	const next, other = `</v2/app/tags/list?last=b&n=2>; rel="next"`, `</v2/app/tags/list?n=2>; rel="first"`
	named := strings.Replace(next, "n=2", "n=2&fairlead-replica=east", 1)
	for line, want := range map[string][]string{
		"GET /v2/app/tags/list?n=2":                       {other, named},
		"GET /v2/app/tags/list?n=2&fairlead-replica=east": {other, named},
		"GET /v2/app/referrers/" + digest:                 {other, named},
		"GET /v2/_catalog?n=2":                            {other, named},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"east": status(200, "Link: "+other, "Link: "+next)}, nil)
		g.set("west", down)
		if got := g.do(line, nil).header.Values("Link"); !slices.Equal(got, want) {
			t.Errorf("%s: Link %q, want %q", line, got, want)
		}
	}
}

// Digests are over the bytes as stored: who compresses is between the client and the replica.
func TestCompressionIsTheClientsWish(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	for _, wish := range []string{"", "gzip", "zstd, br;q=0.5"} {
		var asked []string
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			asked = r.Header["Accept-Encoding"]
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		}}, nil)
		var headers, want []string
		if wish != "" {
			headers, want = []string{"Accept-Encoding: " + wish}, []string{wish}
		}
		got := g.next(bufio.NewReader(g.send(plain("GET "+byDigest, "", headers...))), http.MethodGet)
		if !slices.Equal(asked, want) {
			t.Errorf("the client wished %q, the replica was asked for %q", want, asked)
		}
		if got.body != packed.String() || got.header.Get("Content-Encoding") != "gzip" ||
			got.header.Get("Content-Length") == "" {
			t.Errorf("%q: the bytes have changed: %v %q", wish, got.header, got.body)
		}
	}
}

// HTTP/2 costs twice the CPU per byte, and puts all that goes to a replica on one connection.
func TestReplicasAreAskedInHTTP1(t *testing.T) {
	var proto string
	replica := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		proto = r.Proto
	}))
	replica.EnableHTTP2 = true
	replica.StartTLS()
	t.Cleanup(replica.Close)
	roots := x509.NewCertPool()
	roots.AddCert(replica.Certificate())
	g := newRig(t, nil, func(c *rigConfig) {
		for i := range c.reach.Endpoints {
			c.reach.Endpoints[i].URL, _ = url.Parse(replica.URL)
			c.reach.Endpoints[i].TLS = &tls.Config{RootCAs: roots}
		}
	})
	g.want(g.do("GET /v2/", nil), 200, "west; reason=nearest")
	if proto != "HTTP/1.1" {
		t.Errorf("asked in %s", proto)
	}
}

// A replica's own name in the handshake is verified: nobody else gets the clients' credentials.
func TestReplicasAreVerified(t *testing.T) {
	replica := httptest.NewUnstartedServer(http.NotFoundHandler())
	replica.Config.ErrorLog = log.New(testWriter{t}, "", 0)
	replica.StartTLS()
	t.Cleanup(replica.Close)
	g := newRig(t, nil, func(c *rigConfig) {
		for i := range c.reach.Endpoints {
			c.reach.Endpoints[i].URL, _ = url.Parse(replica.URL)
		}
	})
	g.want(g.do("GET /v2/", nil), 502, "west; reason=nearest")
}
