package proxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
)

func TestMatchesListed(t *testing.T) {
	listed := []string{"/service/token", "/artifacts-uploads/*", "/a/b/*"}
	for path, want := range map[string]bool{
		"/service/token": true, "/service/token/x": false, "/service": false,
		"/artifacts-uploads/x": true, "/artifacts-uploads/x/y/z": true, "/artifacts-uploads/": false,
		"/artifacts-uploads": false, "/artifacts-uploadsx": false,
		"/artifacts-uploads/../metrics": false, "/artifacts-uploads//metrics": false,
		"/artifacts-uploads/%2e%2e/metrics": false, "/artifacts-uploads/..;/metrics": false,
		"/a/b/c": true, "/a/c": false, "/": false, "/metrics": false,
	} {
		if got := routable(path, listed); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

const outsideUploads = "/artifacts-uploads/ns/uploads/"

// keepsOutside is a registry whose uploads live outside /v2/, and whose commits say where the blob is.
func keepsOutside(commit string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.URL.Query().Get("digest") != "":
			if commit != "" {
				w.Header().Set("Location", commit)
			}
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/artifacts-uploads/"):
			w.Header().Set("Location", outsideUploads+"1")
			w.Header().Set("Range", "0-9")
			w.WriteHeader(http.StatusNoContent)
		case strings.HasPrefix(r.URL.Path, "/v2/app/manifests/"):
			w.WriteHeader(http.StatusCreated)
		default:
			w.Header().Set("Location", "http://"+r.Host+outsideUploads+"1")
			w.WriteHeader(http.StatusAccepted)
		}
	}
}

func listOutside(c *rigConfig) { c.Paths = []string{"/artifacts-uploads/*"} }

func TestUploadsOutside(t *testing.T) {
	const marked = "?fairlead-repository=app&fairlead-replica=east"
	var mu sync.Mutex
	var brought []string
	both := keepsOutside("/v2/app/blobs/" + digest)
	upstreams := map[string]http.HandlerFunc{"west": both, "east": both}
	g := newRig(t, upstreams, func(c *rigConfig) {
		listOutside(c)
		c.told.committed = func(repository, digest, replica string) {
			mu.Lock()
			defer mu.Unlock()
			brought = append(brought, repository+" "+digest+" "+replica)
		}
	})
	g.set("west", func(r *router.Replica) { r.Writable = false })
	got := g.do("POST "+uploads, nil)
	g.want(got, 202, "east; reason=failover")
	for _, method := range []string{"PATCH", "POST", "GET", "PATCH"} {
		location := got.header.Get("Location")
		if strings.Replace(location, "&fairlead-upload=empty", "", 1) != outsideUploads+"1"+marked {
			t.Fatalf("%s: Location %q", method, location)
		}
		var body io.Reader
		if method != "GET" {
			body = bytes.NewReader(random(1000))
		}
		if got = g.do(method+" "+location, body); got.by != "east; reason=owner" || got.status/100 != 2 {
			t.Errorf("%s: %v", method, got)
		}
	}
	got = g.do("PUT "+got.header.Get("Location")+"&digest="+digest, nil)
	if g.want(got, 201, "east; reason=owner"); got.header.Get("Location") != "/v2/app/blobs/"+digest ||
		got.header.Get(digestHeader) != digest {
		t.Errorf("%v", got.header)
	}
	g.gateway.Close() // the end of the handlers
	if want := []string{"app " + digest + " east"}; !slices.Equal(brought, want) {
		t.Errorf("committed %q, want %q", brought, want)
	}
	if at := g.proxy.pushes.replicaOf(pushKey{addrOf("127.0.0.1:1"), "app"}, digest, time.Now()); at != "east" {
		t.Errorf("the part is known at %q", at)
	}
	for _, seen := range g.take() {
		if strings.Contains(seen, "fairlead") || !strings.HasPrefix(seen, "east ") {
			t.Errorf("a replica saw %s", seen)
		}
	}
}

// Uploads below /v2/ need not be where the spec has them: ghcr.io has NAME/blobs/upload/ID. They must not be a way to
// write anything else.
func TestUploadsElsewhereBelowV2(t *testing.T) {
	const elsewhere = "/v2/app/blobs/upload/1"
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", elsewhere)
		w.WriteHeader(http.StatusAccepted)
	}}, nil)
	got := g.do("POST "+uploads, nil)
	location := got.header.Get("Location")
	if location != elsewhere+"?fairlead-repository=app&fairlead-upload=empty&fairlead-replica=west" {
		t.Fatalf("%v, Location %q", got, location)
	}
	g.want(g.do("PATCH "+location, bytes.NewReader(random(1000))), 202, "west; reason=owner")
	const marked = "?fairlead-repository=app&fairlead-replica=west"
	for line, want := range map[string]int{
		"PATCH " + elsewhere:                       404,
		"PUT /v2/app/manifests/v1/" + marked:       404,
		"PUT /v2/App/manifests/v1" + marked:        400,
		"PUT /v2/app/Manifests/v1" + marked:        404,
		"PUT /v2/app/manifests/v1/more" + marked:   404,
		"DELETE /v2/app/referrers/x/more" + marked: 404,
		"TRACE " + location:                        405,
		"put " + location:                          405,
	} {
		if got := g.do(line, nil); got.status != want {
			t.Errorf("%s: %v, want %d", line, got, want)
		}
	}
}

// What a URL says of its repository anybody may have written there. It steers nothing.
func TestAForgedRepository(t *testing.T) {
	forged := outsideUploads + "1?fairlead-repository=victim&fairlead-replica=west"
	for name, commit := range map[string]string{
		"no Location": "", "another's": "/v2/mallory/blobs/" + digest, "no blob's": "/v2/victim/manifests/v1",
		"another blob's": "/v2/victim/blobs/" + otherDigest,
	} {
		west := keepsOutside(commit)
		g := newRig(t, map[string]http.HandlerFunc{"west": west}, func(c *rigConfig) {
			listOutside(c)
			c.told.committed = func(repository, _, _ string) {
				if repository == "victim" {
					t.Errorf("%s: a blob of it was to be copied", name)
				}
			}
		})
		blob := ledger.Reference{Repository: "victim", Name: digest, Blob: true}
		_ = g.proxy.Ledger.Delete(blob, "west", ledger.Request{})
		g.want(g.do("PATCH "+forged, strings.NewReader("x")), 202, "west; reason=owner")
		g.want(g.do("PUT "+forged+"&digest="+digest, strings.NewReader("x")), 201, "west; reason=owner")
		if owner := g.proxy.leases.owner("victim", time.Now()); owner != "" {
			t.Errorf("%s: a lease at %s", name, owner)
		}
		if known, _ := g.proxy.Ledger.Known(blob); !known.Deleted {
			t.Errorf("%s: what was deleted is there again", name)
		}
	}
}

func TestOutsideThatIsNotListed(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": keepsOutside("")}, nil)
	got := g.do("POST "+uploads, nil)
	if g.want(got, 502, "west; reason=nearest"); !strings.Contains(got.body, "proxy.paths") ||
		!strings.Contains(got.body, "/artifacts-uploads/*") {
		t.Errorf("%s does not say what to do", got.body)
	}
	g.want(g.do("PATCH "+outsideUploads+"1?fairlead-repository=app&fairlead-replica=west", strings.NewReader("x")),
		404, "-")
	if g.proxy.leases.count() != 0 {
		t.Error("a lease")
	}
}

// A lease outlives a long upload outside /v2/ as it does any other, and a lost one ends as any other does.
func TestOutsideBelongsToThePush(t *testing.T) {
	arrived := make(chan bool, 1)
	west := keepsOutside("/v2/app/blobs/" + digest)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			arrived <- true
		}
		west(w, r)
	}}, listOutside)
	location := g.do("POST "+uploads, nil).header.Get("Location")
	body, end := io.Pipe()
	defer end.Close()
	done := make(chan reply, 1)
	go func() { done <- g.do("PATCH "+location, body) }()
	await(t, arrived, "the layer")
	if got := g.proxy.leases.owner("app", time.Now().Add(time.Hour)); got != "west" {
		t.Errorf("owner %q in the middle of an upload", got)
	}
	end.Close()
	g.want(await(t, done, "the end of the upload"), 202, "west; reason=owner")
	g.set("west", down)
	if got := g.do("PATCH "+location, strings.NewReader("x")); got.err == nil {
		t.Errorf("no broken connection: %v", got)
	}
	g.want(g.do("PATCH "+location, strings.NewReader("x")), 502, "west; reason=upload_lost")
}
