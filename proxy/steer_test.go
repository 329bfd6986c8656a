package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// What a stranger may send without being let in moves no repository's writes.
func TestStrangersDoNotSteer(t *testing.T) {
	for _, test := range []struct {
		name, line string
		west       http.HandlerFunc
		status     int
	}{
		{"OPTIONS, which some registries answer to anybody", "OPTIONS " + uploads + "1", status(204), 204},
		{"OPTIONS with an owner", "OPTIONS " + uploads + "1?fairlead-replica=west", status(204), 204},
		{"the state of an upload", "GET " + uploads + "1?fairlead-replica=west", status(204), 204},
		{"refused", "POST " + uploads, status(401), 401},
		{"refused with an owner", "PATCH " + uploads + "1?fairlead-replica=west", status(404), 404},
		{"a Location elsewhere", "POST " + uploads, status(202, "Location: http://evil.example"+uploads+"1"), 502},
		{"a Location that is no URL", "PATCH " + uploads + "1", status(202, "Location: http://["), 502},
		{"redirected", "PUT /v2/app/manifests/v1", status(307, "Location: /v2/app/manifests/v2"), 502},
		{"a token for pushing, refused", "GET /token?scope=repository:app:push", status(401), 401},
		{"a token for pulling", "GET /token?scope=repository:app:pull", status(200), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": test.west},
				func(c *rigConfig) { c.Paths = []string{"/token"} })
			if got := g.do(test.line, nil); got.status != test.status {
				t.Errorf("%v, want %d", got, test.status)
			}
			if n := g.proxy.leases.count(); n != 0 {
				t.Errorf("leases: %+v", g.proxy.Leases())
			}
			if got := g.proxy.leases.boundTo("app", addrOf("127.0.0.1:1"), time.Now()); got != "" {
				t.Errorf("bound to %s", got)
			}
		})
	}
}

func TestStrangersDoNotTouchALease(t *testing.T) {
	for _, test := range []struct {
		name, line, by string
		east           func(*router.Replica) // the owner
	}{
		{"refused by another while the owner is down", "POST " + uploads, "west; reason=failover", down},
		{"a manifest, refused by another", "PUT /v2/app/manifests/v1", "west; reason=failover", down},
		{"refused by the owner", "PUT /v2/app/manifests/v1", "east; reason=leased", nil},
		{"a part, refused by the owner", "PATCH " + uploads + "1?fairlead-replica=east", "east; reason=owner", nil},
		{"a part, refused by another", "PATCH " + uploads + "1?fairlead-replica=west", "west; reason=owner", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": status(401), "east": status(401)}, nil)
			g.proxy.leases.accept(t.Context(), "app", "east", bob, time.Now().Add(-time.Second))
			before := g.proxy.Leases()[0]
			if test.east != nil {
				g.set("east", test.east)
			}
			g.want(g.do(test.line, strings.NewReader("")), 401, test.by)
			g.gateway.Close() // the end of the handler
			if after := g.proxy.Leases(); len(after) != 1 || after[0] != before {
				t.Errorf("the lease was %+v and is %+v", before, after)
			}
		})
	}
}

// The parameter is ours to hand out, in uploads and pages. Elsewhere it is somebody's wish.
func TestOwnerInTheURLOfAWrite(t *testing.T) {
	everywhere := map[string]http.HandlerFunc{"west": accepts, "east": accepts, "europe": accepts}
	for _, line := range []string{
		"POST " + uploads, "POST " + uploads + "?mount=sha256:1&from=base", "PUT /v2/app/manifests/v1",
		"DELETE /v2/app/manifests/v1", "DELETE /v2/app/blobs/" + digest, "HEAD /v2/app/blobs/" + digest,
	} {
		g := newRig(t, everywhere, nil)
		g.proxy.leases.accept(t.Context(), "app", "east", bob, time.Now())
		and := "?"
		if strings.Contains(line, "?") {
			and = "&"
		}
		if got := g.do(line+and+"fairlead-replica=europe", nil); got.by != "east; reason=leased" {
			t.Errorf("%s: %v", line, got)
		}
		asked := 1
		if strings.HasPrefix(line, "DELETE") {
			asked = 3 // content is deleted everywhere
		}
		if seen := g.take(); len(seen) != asked || seen[0] != "east "+line {
			t.Errorf("the replicas saw %q", seen)
		}
	}
}

// A layer may take hours, and its repository's writes stay where it goes.
func TestAnUploadUnderWayKeepsTheLease(t *testing.T) {
	arrived := make(chan bool, 1)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			arrived <- true
		}
		accepts(w, r)
	}}, func(c *rigConfig) { c.Limits.Window = time.Hour })
	location := g.do("POST "+uploads, nil).header.Get("Location")
	body, end := io.Pipe()
	defer end.Close()
	done := make(chan reply, 1)
	go func() { done <- g.do("PATCH "+location, body) }()
	await(t, arrived, "the layer")
	later := time.Now().Add(time.Hour)
	if got := g.proxy.leases.owner("app", later); got != "west" {
		t.Errorf("owner %q in the middle of an upload", got)
	}
	end.Close()
	g.want(await(t, done, "the end of the upload"), 202, "west; reason=owner")
	g.gateway.Close() // the end of the handler
	if got := g.proxy.leases.owner("app", later); got != "" {
		t.Errorf("owner %q an hour after the last request", got)
	}
}

func TestWritesGoHome(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(200), "europe": accepts},
		func(c *rigConfig) { c.OwnerHome = true })
	g.want(g.do("HEAD /v2/app/blobs/"+digest, nil), 202, "europe; reason=home")
	g.want(g.do("PUT /v2/other/manifests/v1", nil), 201, "europe; reason=home")
	g.want(g.do("GET "+byDigest, nil), 200, "west; reason=nearest")
}

// What a client was told does not exist, it will push: it is bound by that as by "exists".
func TestWhatBinds(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		want   string
	}{
		{"exists", 200, "east; reason=bound"},
		{"does not exist", 404, "east; reason=bound"},
		{"refused", 401, "west; reason=nearest"},
		{"broken", 500, "west; reason=nearest"},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": accepts,
			"east": func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(test.status)
					return
				}
				accepts(w, r)
			}, "europe": status(test.status)}, nil)
		g.set("west", down)
		g.do("HEAD /v2/app/blobs/"+digest, nil)
		g.set("west", func(r *router.Replica) { r.Upstream.Up = true })
		if got := g.do("POST "+uploads, nil); got.by != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
	}
}
