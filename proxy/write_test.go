package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/fairlead-gateway/fairlead/router"
)

const uploads = "/v2/app/blobs/uploads/"

func accepts(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.Method {
	case http.MethodPost, http.MethodPatch:
		w.Header().Set("Location", "http://"+r.Host+uploads+"1?_state=a%2Bb")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		w.Header().Set("Location", "http://"+r.Host+"/v2/app/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func TestWhatMakesALease(t *testing.T) {
	for _, test := range []struct {
		line   string
		status int
		owner  string
	}{
		{"POST " + uploads, 202, "west"},
		{"PUT /v2/app/manifests/v1", 201, "west"},
		{"DELETE /v2/app/manifests/v1", 202, "west"},
		{"PATCH " + uploads + "1", 202, "west"},
		{"GET " + uploads + "1", 204, ""},
		{"POST " + uploads, 401, ""},
		{"POST " + uploads, 403, ""},
		{"POST " + uploads, 404, ""},
		{"POST " + uploads, 429, ""},
		{"PUT /v2/app/manifests/v1", 400, ""},
		{"PUT /v2/app/manifests/v1", 500, ""},
		{"HEAD /v2/app/blobs/" + digest, 200, ""},
		{"GET /v2/app/manifests/v1", 200, ""},
	} {
		everywhere := status(test.status)
		g := newRig(t, map[string]http.HandlerFunc{"west": everywhere, "east": everywhere, "europe": everywhere}, nil)
		got := g.do(test.line, nil)
		if owner := g.proxy.leases.owner("app", time.Now()); owner != test.owner || got.status != test.status {
			t.Errorf("%s answered %d: %v, owner %q, want %q", test.line, test.status, got, owner, test.owner)
		}
	}
}

func TestOwnerTravelsInTheURL(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts}, nil)
	g.set("west", func(r *router.Replica) { r.Writable = false })
	got := g.do("POST "+uploads, nil)
	g.want(got, 202, "east; reason=failover")
	location := got.header.Get("Location")
	if location != uploads+"1?_state=a%2Bb&fairlead-upload=empty&fairlead-replica=east" {
		t.Fatalf("Location %q", location)
	}
	// Another gateway that knows of no lease: the URL is enough.
	other := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts}, nil)
	got = other.do("PATCH "+location, bytes.NewReader(random(100_000)))
	other.want(got, 202, "east; reason=owner")
	if seen := other.take(); len(seen) != 1 || seen[0] != "east PATCH "+uploads+"1?_state=a%2Bb" {
		t.Errorf("the replica saw %q", seen)
	}
	got = other.do("PUT "+got.header.Get("Location")+"&digest="+digest, nil)
	other.want(got, 201, "east; reason=owner")
	if l := got.header.Get("Location"); l != "/v2/app/blobs/"+digest {
		t.Errorf("a finished blob's Location is %q", l)
	}
	other.want(other.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "east; reason=leased")
}

func TestLostUploads(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts}, nil)
	g.set("east", down)
	part := func(id string) reply {
		return g.do("PATCH "+uploads+id+"?fairlead-replica=east", strings.NewReader("x"))
	}
	if got := part("1"); got.err == nil {
		t.Errorf("no broken connection: %v", got)
	}
	got := part("1")
	g.want(got, 502, "east; reason=upload_lost")
	if !strings.Contains(got.body, "UNAVAILABLE") || !strings.Contains(got.body, `"replica":"east"`) {
		t.Errorf("%v", got)
	}
	if got := part("2"); got.err == nil || g.counted("444") != 2 {
		t.Errorf("another upload: %v, %v broken off", got, g.counted("444"))
	}
	for _, status := range []int{408, 502} {
		got := g.do("PUT "+uploads+"3?fairlead-replica=east", strings.NewReader("x"), "User-Agent: containerd/1.6.20~ds1")
		g.want(got, status, "east; reason=upload_lost")
	}
	got = g.do("PATCH "+uploads+"1?fairlead-replica=mars", strings.NewReader("x"))
	g.want(got, 404, "-; reason=upload_lost")
	if !strings.Contains(got.body, "BLOB_UPLOAD_UNKNOWN") {
		t.Errorf("%v", got)
	}
	if seen := g.take(); len(seen) != 0 {
		t.Errorf("a lost upload was rerouted silently: %q", seen)
	}
	g = newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": breakOff}, nil) // and nobody has noticed yet
	if got := part("1"); got.err == nil {
		t.Errorf("no broken connection: %v", got)
	}
	g.want(part("1"), 502, "east; reason=upload_lost")
}

// A client that sends a large part of a lost upload can write all of it, and then the connection ends.
func TestLostUploadsAreDrained(t *testing.T) {
	const size = 32 << 20 // far more than sockets hold
	for _, test := range []struct {
		name string
		east func(*rig)
	}{
		{"the probes know", func(g *rig) { g.set("east", down) }},
		{"nobody has noticed yet", func(*rig) {}},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": breakOff}, nil)
		test.east(g)
		conn := g.send(fmt.Sprintf("PATCH "+uploads+"1?fairlead-replica=east HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n",
			size))
		if _, err := conn.Write(random(size)); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts}, nil)
	g.set("east", down)
	conn := g.send("PATCH " + uploads + "1?fairlead-replica=east HTTP/1.1\r\nHost: r\r\nContent-Length: 9\r\n" +
		"Expect: 100-continue\r\n\r\n123456789")
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
		t.Errorf("leave to send what is lost: %q, %v", got, err)
	}
}

func TestLeaseRules(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts, "europe": accepts}, nil)
	g.set("west", func(r *router.Replica) { r.Operator = router.Drain })
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=failover")
	g.set("west", func(r *router.Replica) { r.Operator = router.Online })
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "east; reason=leased")
	g.want(g.do("GET /v2/app/manifests/v1", nil), 202, "east; reason=leased")
	g.want(g.do("GET /v2/app/tags/list", nil), 202, "east; reason=leased")
	g.want(g.do("GET /v2/app/blobs/"+digest, nil), 202, "west; reason=nearest")
	g.want(g.do("HEAD /v2/app/blobs/"+digest, nil), 202, "east; reason=leased")
	g.want(g.do("POST /v2/other/blobs/uploads/", nil), 202, "west; reason=nearest")
	g.set("east", func(r *router.Replica) { r.Operator = router.Drain })
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=leased")
	g.set("east", down)
	g.want(g.do("POST "+uploads, nil), 202, "west; reason=failover")
	g.set("east", func(r *router.Replica) { r.Operator = router.Online; r.Upstream.Up = true })
	g.want(g.do("PATCH "+uploads+"1", strings.NewReader("x")), 202, "west; reason=leased")
}

// What was finished before the owner died does not stand in the way of the next push.
func TestFinishedPushesAreForgotten(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts, "east": accepts}, nil)
	g.want(g.do("PUT "+uploads+"1?digest=sha256:1", strings.NewReader("x")), 201, "west; reason=nearest")
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "west; reason=leased")
	g.set("west", down)
	g.want(g.do("PUT /v2/app/manifests/v2", strings.NewReader("{}")), 201, "east; reason=failover")
}

func TestBindingKeepsAPushTogether(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(404), "east": accepts}, nil)
	g.set("west", down)
	g.want(g.do("HEAD /v2/app/blobs/"+digest, nil), 202, "east; reason=failover")
	g.set("west", func(r *router.Replica) { r.Upstream.Up = true })
	g.want(g.do("HEAD /v2/app/manifests/"+digest, nil), 202, "east; reason=bound")
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=bound")
}

// A HEAD is not left without an answer because the replica that it is bound to has just died; the
// answer of the next binds the client anew, so that the push goes where it was told what exists.
func TestBindingMovesWithTheAnswer(t *testing.T) {
	dead := false
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if dead {
			breakOff(w, r)
		}
		w.WriteHeader(http.StatusNotFound)
	}, "east": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		accepts(w, r)
	}}, nil)
	g.want(g.do("HEAD /v2/app/blobs/"+digest, nil), 404, "west; reason=nearest")
	dead = true
	g.want(g.do("HEAD /v2/app/blobs/"+digest, nil), 404, "east; reason=failover")
	g.want(g.do("POST "+uploads, nil), 202, "east; reason=bound")
}

// Two pushes begin at once at two replicas: whoever is accepted second is begun again at the first's.
func TestRacingPushesMeetAtOneOwner(t *testing.T) {
	arrived, goOn := make(chan bool, 2), make(chan bool)
	g := newRig(t, map[string]http.HandlerFunc{
		"west": func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-goOn
			accepts(w, r)
		},
		"europe": accepts,
	}, nil)
	second := make(chan reply)
	go func() { second <- g.do("POST "+uploads, nil) }()
	<-arrived
	g.proxy.leases.accept(t.Context(), "app", "europe", alice, time.Now())
	close(goOn)
	got := <-second
	g.want(got, 202, "europe; reason=leased")
	if l := got.header.Get("Location"); !strings.HasSuffix(l, "fairlead-replica=europe") {
		t.Errorf("Location %q", l)
	}
}

func TestPushesAreTriedElsewhereOnlyAsFarAsThatIsSafe(t *testing.T) {
	for _, test := range []struct {
		line, body string
		status     int
		by         string
	}{
		{"POST " + uploads, "", 202, "east; reason=failover"},
		{"POST " + uploads + "?digest=" + digest, "body", 202, "east; reason=failover"},
		{"PUT /v2/app/manifests/v1", "{}", 201, "east; reason=failover"},
		{"DELETE /v2/app/manifests/v1", "", 502, "west; reason=nearest"},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": breakOff, "east": accepts}, nil)
		var body io.Reader
		if test.body != "" {
			body = strings.NewReader(test.body)
		}
		g.want(g.do(test.line, body), test.status, test.by)
		if !g.troubled("west") {
			t.Errorf("%s: no trouble was reported", test.line)
		}
	}
}

func TestForeignLocations(t *testing.T) {
	for _, test := range []struct {
		name, query string
		handler     http.HandlerFunc
		status      int
	}{
		{"another host", "", status(202, "Location: http://evil.example"+uploads+"1"), 502},
		{"no host", "", status(202, "Location: //evil.example/x"), 502},
		{"outside the registry's API", "", status(202, "Location: /metrics"), 502},
		{"no URL", "", status(202, "Location: http://["), 502},
		{"a push redirected", "", status(307, "Location: /v2/elsewhere"), 502},
		{"finished, named by another host", "?digest=" + digest,
			status(201, "Location: http://cdn.example/v2/app/blobs/"+digest), 201},
		{"no Location", "", status(202), 202},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": test.handler}, nil)
		if got := g.do("POST "+uploads+test.query, nil); got.status != test.status ||
			strings.Contains(got.header.Get("Location"), "example") {
			t.Errorf("%s: %v, Location %q", test.name, got, got.header.Get("Location"))
		}
	}
}

// Routers of registries redirect to the path with a slash; with nothing to send again that is harmless.
func TestRedirectToTheSamePath(t *testing.T) {
	const path = "/v2/app/blobs/uploads"
	toSlash := status(301, "Location: http://registry.contoso.com"+path+"/?a=b&fairlead-replica=west")
	g := newRig(t, map[string]http.HandlerFunc{"west": toSlash}, nil)
	got := g.do("POST "+path+"?a=b", nil, "Host: registry.contoso.com")
	if at := got.header.Get("Location"); got.status != 301 || at != path+"/?a=b" {
		t.Errorf("%v, Location %q", got, at)
	}
	if got := g.do("POST "+path, strings.NewReader("a blob"), "Host: registry.contoso.com"); got.status != 502 {
		t.Errorf("with a body: %v", got)
	}
	if got := g.do("POST "+path, nil, "Host: other.example"); got.status != 502 {
		t.Errorf("to another host: %v", got)
	}
}

// A client that stops sending, and one that sends a byte now and then, are cut: by rate, not by time.
func TestStalledBodyIsCut(t *testing.T) {
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": accepts}, nil)
	patch := "PATCH " + uploads + "1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc"
	answer, err := io.ReadAll(g.send(patch))
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 504 ")) {
		t.Errorf("%q %v", answer, err)
	}
	if g.troubled("west") {
		t.Error("a client that stalls was taken for a replica in trouble")
	}
}

func TestMalformedBodyIsTheClientsFault(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts}, nil)
	patch := "PATCH " + uploads + "1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
	answer, err := io.ReadAll(g.send(patch))
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) ||
		!bytes.Contains(answer, []byte("BLOB_UPLOAD_INVALID")) {
		t.Errorf("%q %v", answer, err)
	}
	if g.troubled("west") {
		t.Error("a client's malformed body was taken for a replica in trouble")
	}
}

// A replica that takes no more bytes costs the push, not the gateway.
func TestStalledReplicaIsCut(t *testing.T) {
	t.Parallel()
	end := make(chan bool)
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": func(http.ResponseWriter, *http.Request) { <-end }}, nil)
	t.Cleanup(func() { close(end) })
	got := g.do("PATCH "+uploads+"1", bytes.NewReader(random(32<<20)))
	if got.err == nil && got.status != 504 {
		t.Errorf("%v", got)
	}
	if !g.troubled("west") {
		t.Error("no trouble was reported")
	}
}

func TestCommitIsAwaitedWhileTheReplicaIsUp(t *testing.T) {
	committing, commit := make(chan bool, 1), make(chan bool)
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		committing <- true
		select {
		case <-commit:
			w.WriteHeader(http.StatusCreated)
		case <-r.Context().Done():
		}
	}}, func(c *rigConfig) { c.Limits.FirstByte, c.Limits.Commit = time.Millisecond, time.Minute })
	put := func() chan reply {
		got := make(chan reply, 1)
		go func() { got <- g.do("DELETE /v2/app/manifests/v1", nil) }()
		<-committing
		return got
	}
	first := put()
	commit <- true
	g.want(<-first, 201, "west; reason=nearest")
	second := put()
	g.set("west", down)
	g.want(<-second, 504, "west; reason=leased")
}

// A whole image through the gateway into a real registry, and back.
func TestARealRegistry(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": registry.New().ServeHTTP}, nil)
	blob := "hello"
	const sum = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	started := g.do("POST "+uploads, nil)
	g.want(started, 202, "west; reason=nearest")
	patched := g.do("PATCH "+started.header.Get("Location"), strings.NewReader(blob))
	g.want(patched, 202, "west; reason=owner")
	done := g.do("PUT "+patched.header.Get("Location")+"&digest="+sum, nil)
	g.want(done, 201, "west; reason=owner")
	got := g.do("GET /v2/app/blobs/"+sum, nil)
	g.want(got, 200, "west; reason=nearest")
	if got.body != blob {
		t.Errorf("%q", got.body)
	}
}

// The owner of a lease dies without a word. What can be sent again waits for the probes and then goes elsewhere; the
// rest is answered.
func TestAWriteOutlivesItsOwner(t *testing.T) {
	for _, test := range []struct {
		line, body string
		status     int
		by         string
	}{
		{"POST " + uploads, "", 202, "east; reason=failover"},
		{"PUT /v2/app/manifests/v1", "{}", 201, "east; reason=failover"},
		{"DELETE /v2/app/manifests/v1", "", 502, "west; reason=leased"},
		{"POST " + uploads + "?digest=" + digest, "body", 202, "east; reason=failover"},
	} {
		var g *rig
		var dead atomic.Bool
		g = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			if !dead.Load() {
				accepts(w, r)
				return
			}
			breakOff(w, r)
		}, "east": accepts}, func(c *rigConfig) {
			c.Limits.AwaitHealth = patience
			c.Trouble = func(string) { go g.set("west", down) } // the probes are told, and take their time
		})
		g.want(g.do("POST "+uploads, nil), 202, "west; reason=nearest")
		dead.Store(true)
		g.want(g.do(test.line, strings.NewReader(test.body)), test.status, test.by)
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff, "east": accepts}, nil)
	g.proxy.leases.accept(t.Context(), "app", "west", alice, time.Now())
	g.want(g.do("POST "+uploads, nil), 502, "west; reason=leased") // never found to be down
}
