package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// west's upstream cannot be reached from here, but its front, where another gateway stands, can.
func TestDetour(t *testing.T) {
	var host, hop string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, hop = r.Host, r.Header.Get(hopHeader)
		w.Header().Set("Location", "http://"+r.Host+uploads+"1?fairlead-replica=west")
		w.Header().Set(replicaHeader, "west; reason=named")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(front.Close)
	blind := func(c *Config) {
		c.Detour = Detour{Scheme: "http", Front: func(replica string) (string, bool) {
			return front.Listener.Addr().String(), replica == "west"
		}}
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff, "east": status(200)}, blind)
	got := g.do("POST "+uploads, nil)
	g.want(got, 202, "west; reason=nearest")
	if l := got.header.Get("Location"); l != uploads+"1?fairlead-replica=west" {
		t.Errorf("Location %q", l)
	}
	if host != "west.registry.contoso.com" || hop == "" {
		t.Errorf("the other gateway got Host %q, hop %q", host, hop)
	}
	if seen := g.take(); len(seen) != 0 {
		t.Errorf("the upstream was asked: %q", seen)
	}
	// What has come through another gateway already takes no second detour, so that nothing circles.
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}"), hopHeader+": 1"), 502, "west; reason=leased")
	// Elsewhere nothing is changed, and the mark does not reach a registry.
	g.want(g.do("GET /v2/app/blobs/"+digest, nil, hopHeader+": 1"), 200, "east; reason=failover")
}
