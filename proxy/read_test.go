package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

const byDigest = "/v2/app/manifests/" + digest

type upstreams = map[string]http.HandlerFunc

type readCase struct {
	name      string
	line      string
	upstreams upstreams
	change    map[string]func(*router.Replica)
	status    int
	by        string
	asked     int    // replicas
	trouble   string // who was in trouble
}

func TestReads(t *testing.T) {
	t.Parallel()
	for _, test := range []readCase{
		{"the nearest", "GET " + byDigest, upstreams{"west": status(200), "east": status(200)}, nil, 200,
			"west; reason=nearest", 1, ""},
		{"a HEAD as well", "HEAD " + byDigest, upstreams{"west": status(200)}, nil, 200, "west; reason=nearest", 1, ""},
		{"the nearest is known to be down", "GET " + byDigest, upstreams{"east": status(200)},
			map[string]func(*router.Replica){"west": down}, 200, "east; reason=failover", 1, ""},
		{"404 falls through", "GET " + byDigest, upstreams{"europe": status(200)}, nil, 200,
			"europe; reason=fallthrough", 3, ""},
		{"a tag falls through", "GET /v2/app/manifests/v1", upstreams{"east": status(200)}, nil, 200,
			"east; reason=fallthrough", 2, ""},
		{"a blob falls through", "GET /v2/app/blobs/" + digest, upstreams{"east": status(200)}, nil, 200,
			"east; reason=fallthrough", 2, ""},
		{"absent on all", "GET " + byDigest, nil, nil, 404, "west; reason=nearest", 3, ""},
		{"HEAD of a blob falls through", "HEAD /v2/app/blobs/" + digest,
			upstreams{"east": status(200, "Content-Length: 7"),
				"europe": status(200, "Content-Length: 7")}, nil, 200, "east; reason=fallthrough", 3, ""},
		{"HEAD of a blob that is large", "HEAD /v2/app/blobs/" + digest,
			upstreams{"east": status(200, "Content-Length: 1000000000")}, nil, 404, "west; reason=nearest", 3, ""},
		{"HEAD of a blob of unknown size", "HEAD /v2/app/blobs/" + digest, upstreams{"east": status(200)}, nil, 200,
			"east; reason=fallthrough", 3, ""},
		{"HEAD of a blob where one cannot be asked", "HEAD /v2/app/blobs/" + digest, upstreams{"east": breakOff}, nil,
			404, "west; reason=nearest", 3, "east"},
		{"the nearest breaks off", "GET " + byDigest, upstreams{"west": breakOff, "east": status(200)}, nil, 200,
			"east; reason=failover", 2, "west"},
		{"the second could not be asked", "GET " + byDigest, upstreams{"east": breakOff}, nil, 502,
			"east; reason=fallthrough", 3, "east"},
		{"500 is tried elsewhere", "GET " + byDigest, upstreams{"west": status(500), "east": status(200)}, nil, 200,
			"east; reason=failover", 2, ""},
		{"500 is told when nobody has it", "GET " + byDigest, upstreams{"west": status(500)}, nil, 500,
			"west; reason=nearest", 3, ""},
		{"429 is tried elsewhere", "GET " + byDigest, upstreams{"west": status(429), "east": status(200)}, nil, 200,
			"east; reason=throttled", 2, ""},
		{"401 is the answer", "GET " + byDigest, upstreams{"west": status(401), "east": status(200)}, nil, 401,
			"west; reason=nearest", 2 /* the second: whether it lets anybody in */, ""},
		{"none is up: tried anyway", "GET " + byDigest, upstreams{"east": status(200)},
			map[string]func(*router.Replica){"west": down, "east": down,
				"europe": down}, 200, "east; reason=last_resort", 2, ""},
		{"none is up and none answers", "GET " + byDigest,
			upstreams{"west": breakOff, "east": breakOff, "europe": breakOff},
			map[string]func(*router.Replica){"west": down, "east": down,
				"europe": down}, 503, "-; reason=unreachable", 3, "west"},
		{"redirects pass", "GET /v2/app/blobs/" + digest,
			upstreams{"west": status(307,
				"Location: https://storage.example/x?sig=1")}, nil, 307, "west; reason=nearest", 1, ""},
		{"the version check", "GET /v2/",
			upstreams{"west": status(401,
				`Www-Authenticate: Bearer realm="https://auth.example/token"`)}, nil, 401, "west; reason=nearest", 1,
			""},
		{"the version check, elsewhere", "GET /v2/", upstreams{"west": breakOff, "east": status(200)}, nil, 200,
			"east; reason=failover", 2, "west"},
		{"404 of the version check is the answer", "GET /v2/", nil, nil, 404, "west; reason=nearest", 1, ""},
		{"a page's next is asked of its replica", "GET /v2/app/tags/list?last=b&fairlead-replica=europe",
			upstreams{"europe": status(200)}, nil, 200, "europe; reason=owner", 1, ""},
		{"nobody's business", "GET /metrics", upstreams{"west": status(200)}, nil, 404, "-", 0, ""},
		{"nor by another way", "GET /v2/../metrics", upstreams{"west": status(200)}, nil, 404, "-", 0, ""},
		{"nor encoded", "GET /v2/%2e%2e/metrics", upstreams{"west": status(200)}, nil, 404, "-", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newRig(t, test.upstreams, nil)) })
	}
}

func TestReadsWhereNoAnswerComes(t *testing.T) {
	t.Parallel()
	for _, test := range []readCase{
		{"the nearest does not answer", "GET " + byDigest, upstreams{"west": hang, "east": status(200)}, nil, 200,
			"east; reason=failover", 2, "west"},
		{"nobody answers", "GET " + byDigest, upstreams{"west": hang, "east": hang, "europe": hang}, nil, 504,
			"west; reason=nearest", 3, "europe"},
		{"what could not be asked may have it", "GET " + byDigest, upstreams{"west": hang}, nil, 504,
			"west; reason=nearest", 3, "west"},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newHastyRig(t, test.upstreams, nil)) })
	}
}

func (test readCase) run(t *testing.T, g *rig) {
	for name, change := range test.change {
		g.set(name, change)
	}
	got := g.do(test.line, nil)
	g.want(got, test.status, test.by)
	if seen := g.take(); len(seen) != test.asked {
		t.Errorf("asked %q, want %d", seen, test.asked)
	}
	if test.trouble != "" && !g.troubled(test.trouble) {
		t.Errorf("no trouble of %s was reported", test.trouble)
	}
	if test.status >= 502 && !strings.Contains(got.body, `{"errors":[{"code":"UNAVAILABLE"`) {
		t.Errorf("no OCI error envelope: %s", got.body)
	}
	if got := got.header.Get("Location"); test.status == 307 && got != "https://storage.example/x?sig=1" {
		t.Errorf("a pull's redirect was changed to %q", got)
	}
	if n := g.proxy.leases.count(); n != 0 {
		t.Errorf("a read made a lease")
	}
}

func TestHereDecidesReads(t *testing.T) {
	everywhere := map[string]http.HandlerFunc{"west": status(200), "east": status(200),
		"europe": status(202, "Location: /v2/app/blobs/uploads/1")}
	everywhere["west"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
		}
	}
	g := newRig(t, everywhere, func(c *rigConfig) { c.Here = "east" })
	g.want(g.do("GET "+byDigest, nil), 200, "east; reason=nearest")
	g.want(g.do("POST /v2/app/blobs/uploads/", nil), 202, "west; reason=nearest")
}

func TestNamedHost(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(200), "east": status(201)}, nil)
	for host, by := range map[string]string{
		"europe.registry.contoso.com":       "europe; reason=named",
		"Europe.Registry.contoso.com.:5000": "europe; reason=named",
		"registry.contoso.com":              "west; reason=nearest",
		"asia.registry.contoso.com":         "west; reason=nearest",
	} {
		want := 200
		if strings.Contains(by, "europe") {
			want = 404 // and no fall-through
		}
		g.want(g.do("GET "+byDigest, nil, "Host: "+host), want, by)
	}
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}"), "Host: east.registry.contoso.com"), 201,
		"east; reason=named")
	if n := g.proxy.leases.count(); n != 0 {
		t.Error("a push to a named replica made a lease")
	}
}

func TestPassesThrough(t *testing.T) {
	var got http.Header
	var host string
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		got, host = r.Header.Clone(), r.Host
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Fairlead-Replica", "forged")
		w.Header().Set("Trailer", "Checksum")
		w.Header().Set("Content-Range", "bytes 3-6/7")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, content[3:])
		w.Header().Set("Checksum", "1")
	}}, nil)
	r := g.do("GET "+byDigest, nil, "Host: registry.contoso.com", "Authorization: Bearer x", "Range: bytes=3-",
		"Accept: a/b", "X-Forwarded-For: 203.0.113.9", "Connection: Upgrade", "Upgrade: websocket",
		"Accept-Encoding: identity")
	g.want(r, 206, "west; reason=nearest")
	if r.header.Get("Docker-Content-Digest") != digest || r.body != content[3:] || r.trailer.Get("Checksum") != "1" {
		t.Errorf("%v, trailer %q", r, r.trailer)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer x", "Range": "bytes=3-", "Accept": "a/b", "Accept-Encoding": "identity",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "registry.contoso.com",
		"Upgrade": "", "Connection": "",
	} {
		if strings.Join(got.Values(name), "|") != want {
			t.Errorf("the replica got %s: %q, want %q", name, got.Values(name), want)
		}
	}
	if host != "registry.contoso.com" {
		t.Errorf("the replica got Host %q", host)
	}
}

func TestHostThatTheRegistryInsistsOn(t *testing.T) {
	var host string
	g := newRig(t, map[string]http.HandlerFunc{"west": func(_ http.ResponseWriter, r *http.Request) { host = r.Host }},
		func(c *rigConfig) {
			for i := range c.reach.Endpoints {
				c.reach.Endpoints[i].Host = "internal.example"
			}
		})
	g.do("GET /v2/", nil)
	if host != "internal.example" {
		t.Errorf("Host %q", host)
	}
}

func TestAnswerBreaksOff(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(random(50_000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}, nil)
	if got := g.do("GET /v2/app/blobs/"+digest, nil); got.err == nil {
		t.Error("half a blob was passed off as a whole one")
	}
	if !g.troubled("west") {
		t.Error("no trouble was reported")
	}
}

// What was read until then is passed on: docker's registry 2 says 416 with the length of the blob, and breaks off.
func TestAnswerThatBreaksOffHasItsStatus(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		_, _ = io.WriteString(w, "no such range")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}, nil)
	got := g.do("GET /v2/app/blobs/"+digest, nil, "Range: bytes=1000-")
	if g.want(got, 416, "west; reason=nearest"); got.body != "no such range" || got.err == nil {
		t.Errorf("%v, %v", got, got.err)
	}
}

// Who has been pushed to knows better what there is not.
func TestOwnersAbsenceIsTold(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"east": status(404, "Says: manifest unknown")}, nil)
	g.proxy.leases.accept(t.Context(), "app", "east", bob, time.Now())
	got := g.do("GET "+byDigest, nil)
	if g.want(got, 404, "east; reason=fallthrough"); got.header.Get("Says") == "" {
		t.Errorf("%v", got)
	}
	g = newRig(t, map[string]http.HandlerFunc{"east": status(404), "europe": breakOff}, nil)
	g.proxy.leases.accept(t.Context(), "app", "east", bob, time.Now())
	g.want(g.do("GET "+byDigest, nil), 502, "europe; reason=fallthrough")
}

func TestListedPaths(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(200)},
		func(c *rigConfig) { c.Paths = []string{"/service/token"} })
	g.want(g.do("GET /service/token?scope=repository:app:pull,push", nil), 200, "west; reason=nearest")
	if got := g.proxy.leases.boundTo("app", addrOf("127.0.0.1:1"), start); got != "west" {
		t.Errorf("a token request with push scope bound the client to %q", got)
	}
	g.want(g.do("GET /service/other", nil), 404, "-")
}
