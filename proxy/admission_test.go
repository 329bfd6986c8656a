package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
)

// beginUpload is a registry that begins each upload, and commits it.
func beginUpload(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", uploads+"1")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		w.WriteHeader(http.StatusCreated)
	}
}

// fill takes all room that those have who begin something.
func (g *rig) fill() (leave func()) {
	g.t.Helper()
	r := g.proxy.room
	all := r.of.Requests - r.of.Requests/8
	one, why := r.enter(netip.MustParseAddr("192.0.2.1"), all/2, newcomer)
	other, why2 := r.enter(netip.MustParseAddr("192.0.2.2"), all-all/2, newcomer)
	if why != nil || why2 != nil {
		g.t.Fatal(why, why2)
	}
	return func() { one(); other() }
}

func errorOf(r reply) string {
	return fmt.Sprint(r.status, " ", r.header.Get("Retry-After"), " ", r.body)
}

// TestARunningPushGoesOnWhereNewcomersAreRefused: with its next part, its commit and its manifest.
func TestARunningPushGoesOnWhereNewcomersAreRefused(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": beginUpload}, func(c *rigConfig) {
		c.Memory.Requests = 64 * RequestMemory
	})
	location := g.do("POST "+uploads, nil).header.Get("Location")
	leave := g.fill()
	for _, line := range []string{"POST " + uploads, "GET " + byDigest, "PUT /v2/app/manifests/v1",
		"PATCH " + uploads + "1"} {
		got := g.do(line, strings.NewReader("{}"))
		if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "UNAVAILABLE") {
			t.Error(line, errorOf(got))
		}
	}
	if got := g.do("GET /v2/", nil); got.status != 200 {
		t.Error("a ping:", errorOf(got))
	}
	if got := g.do("PUT "+location+"&digest="+oci.Digest([]byte("abc")), strings.NewReader("abc")); got.status != 201 {
		t.Error("a commit:", errorOf(got))
	}
	if got := g.do("PUT /v2/app/manifests/v1", strings.NewReader(`{"schemaVersion":2}`)); got.status != 201 {
		t.Error("a manifest:", errorOf(got))
	}
	leave()
	if got := g.do("POST "+uploads, nil); got.status != 202 {
		t.Error("with room again:", errorOf(got))
	}
}

// TestOneClientsExcessIs429: of requests, and of uploads that were begun; what goes on with one is none.
func TestOneClientsExcessIs429(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": beginUpload}, func(c *rigConfig) {
		c.Memory.Requests = 64 * RequestMemory
	})
	refused := func(what string, got reply) {
		t.Helper()
		if got.status != 429 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "TOOMANYREQUESTS") {
			t.Error(what, errorOf(got))
		}
	}
	own, why := g.proxy.room.enter(netip.MustParseAddr("127.0.0.1"), 44*RequestMemory, newcomer)
	if why != nil {
		t.Fatal(why.error)
	}
	refused("requests", g.do("POST "+uploads, nil))
	own()
	location := g.do("POST "+uploads, nil).header.Get("Location")
	k := uploadsKey{clientPrefix(netip.MustParseAddr("127.0.0.1")), "app"}
	g.proxy.uploads.note(k, 2*maxBegun, time.Now())
	refused("uploads", g.do("POST "+uploads, nil))
	if got := g.do("POST /v2/other/blobs/uploads/", nil); got.status != 202 {
		t.Error("to another repository:", errorOf(got))
	}
	if got := g.do("PUT "+location+"&digest="+oci.Digest([]byte("abc")), strings.NewReader("abc")); got.status != 201 {
		t.Error("a commit:", errorOf(got))
	}
}

// TestHowManyFieldsARequestHas: more than clients have are 431, over HTTP/2, too, where many fit into what bounds their
// bytes.
func TestHowManyFieldsARequestHas(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": beginUpload}, nil)
	g.serve(func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	for n, want := range map[int]int{90: 200, 101: 431} {
		request, _ := http.NewRequest(http.MethodGet, g.gateway.URL+"/v2/", nil)
		for i := range n {
			request.Header.Add("X", fmt.Sprint(i))
		}
		response, err := g.gateway.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want || response.ProtoMajor != 2 {
			t.Errorf("%d fields: %d over %s", n, response.StatusCode, response.Proto)
		}
	}
}
