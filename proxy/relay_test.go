package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/upstream"
)

// west's upstream cannot be reached from here, but its front, where another gateway stands, can.
func TestRelay(t *testing.T) {
	var host, hop string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, hop = r.Host, r.Header.Get(upstream.HopHeader)
		w.Header().Set("Location", "http://"+r.Host+uploads+"1?fairlead-replica=west")
		w.Header().Set(replicaHeader, "west; reason=named")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(front.Close)
	unreachable := func(c *rigConfig) {
		c.reach.Relay = upstream.Relay{Scheme: "http", Front: func(replica string) (string, bool) {
			return front.Listener.Addr().String(), replica == "west"
		}}
	}
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff, "east": status(200)}, unreachable)
	got := g.do("POST "+uploads, nil)
	g.want(got, 202, "west; reason=nearest")
	if l := got.header.Get("Location"); l != uploads+"1?fairlead-upload=empty&fairlead-replica=west" {
		t.Errorf("Location %q", l)
	}
	if host != "west.registry.contoso.com" || hop == "" {
		t.Errorf("the other gateway got Host %q, hop %q", host, hop)
	}
	if seen := g.take(); len(seen) != 0 {
		t.Errorf("the upstream was asked: %q", seen)
	}
	// What has come through another gateway already is not relayed again, so that nothing circles.
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}"), upstream.HopHeader+": 1"), 502,
		"west; reason=leased")
	// Elsewhere nothing is changed, and the mark does not reach a registry.
	g.want(g.do("GET /v2/app/blobs/"+digest, nil, upstream.HopHeader+": 1"), 200, "east; reason=failover")
}

// A login goes through a front only if the way there is as safe as the replica's own.
func TestNoLoginInClearText(t *testing.T) {
	for _, c := range []struct {
		upstream, relay, authorization string
		status                         int // of the front
		exposed                        bool
		asked                          int
	}{
		{"http", "http", "Basic x", 200, false, 1},
		{"http", "http", "", 401, false, 1},
		{"https", "https", "Basic x", 200, false, 1},
		{"https", "https", "", 401, false, 1},
		{"https", "http", "", 200, false, 1},
		{"https", "http", "", 404, false, 1},
		{"https", "http", "Basic x", 200, true, 0},
		{"https", "http", "", 401, true, 1},
	} {
		asked := 0
		front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(c.status)
		}))
		t.Cleanup(front.Close)
		relay := upstream.Relay{Scheme: c.relay, Front: func(replica string) (string, bool) {
			return front.Listener.Addr().String(), replica == "west"
		}}
		if c.relay == "http" {
			front.Start()
		} else {
			front.StartTLS()
			roots := x509.NewCertPool()
			roots.AddCert(front.Certificate())
			relay.TLS = &tls.Config{RootCAs: roots}
		}
		g := newRig(t, nil, func(config *rigConfig) {
			config.reach.Relay = relay
			for _, u := range config.reach.Endpoints {
				u.URL.Scheme = c.upstream
			}
		})
		to := g.proxy.Upstreams.Reach("west")
		body := &closing{Reader: strings.NewReader("x")}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, to.URL.String()+"/v2/app/manifests/v1", body)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		response, err := to.Transport.RoundTrip(r)
		if errors.Is(err, upstream.ErrExposed) != c.exposed || err == nil && response.StatusCode != c.status ||
			asked != c.asked || asked == 0 && !body.closed {
			t.Errorf("%+v: %v, asked %d", c, err, asked)
		}
		if err == nil {
			response.Body.Close()
		}
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

// A token service is asked where the replica says, though that is at the replica's own address.
func TestDirect(t *testing.T) {
	front := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
		*http.Request) {
		t.Error("the front was asked")
	}))
	t.Cleanup(front.Close)
	var host string
	west := func(w http.ResponseWriter, r *http.Request) { host = r.Host }
	g := newRig(t, map[string]http.HandlerFunc{"west": west}, func(c *rigConfig) {
		c.reach.Relay = upstream.Relay{Scheme: "http",
			Front: func(string) (string, bool) { return front.Listener.Addr().String(), true }}
		for i := range c.reach.Endpoints {
			c.reach.Endpoints[i].Host = "west.internal"
		}
	})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet,
		g.proxy.Upstreams.Reach("west").URL.String()+"/v2/token", nil)
	response, err := g.proxy.Upstreams.Direct("west").RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if host != "west.internal" || len(g.take()) != 1 {
		t.Errorf("asked %q", host)
	}
}
