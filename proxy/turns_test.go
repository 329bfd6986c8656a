package proxy

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// awaits answers once a channel is closed, and says whether its client left before.
func awaits(cue <-chan bool, left chan<- bool, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-cue:
			then(w, r)
		case <-r.Context().Done():
			close(left)
		}
	}
}

// The only one that has it is slow. The others are asked meanwhile, and it is not given up.
func TestTheOnlyHolderIsSlow(t *testing.T) {
	asked := make(chan bool)
	last := func(w http.ResponseWriter, r *http.Request) { close(asked); http.NotFound(w, r) }
	g := newRig(t, map[string]http.HandlerFunc{"west": awaits(asked, make(chan bool), status(200)), "europe": last},
		func(c *rigConfig) {
			c.Limits.FirstByte, c.Limits.Alone = 400*time.Millisecond, patience
		})
	g.want(g.do("GET "+byDigest, nil), 200, "west; reason=nearest")
	if seen := g.take(); len(seen) != 3 {
		t.Errorf("asked %q", seen)
	}
}

// Once another has it, nobody waits for the slow one any more, and that is no trouble of its.
func TestASlowOneIsLetGo(t *testing.T) {
	left := make(chan bool)
	g := newRig(t, map[string]http.HandlerFunc{"west": awaits(nil, left, nil), "east": status(200)},
		func(c *rigConfig) {
			c.Limits.FirstByte, c.Limits.Alone = 400*time.Millisecond, patience
		})
	g.want(g.do("GET "+byDigest, nil), 200, "east; reason=failover")
	await(t, left, "west to be let go")
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.trouble) != 1 {
		t.Errorf("trouble of %q, want west's once, for being slow", g.trouble)
	}
}

// slowly answers when so much time has passed that a test's first bound has, too.
func slowly(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(600 * time.Millisecond):
			then(w, r)
		case <-r.Context().Done():
		}
	}
}

// Who is asked last, or alone, has more than the time to the first byte, as long as it is up; lists have time at all
// replicas.
func TestWhoIsAloneHasTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		line string
		east http.HandlerFunc
		want int
	}{
		"last":               {"GET " + byDigest, nil, 200},
		"a list of tags":     {"GET /v2/app/tags/list", status(500), 200},
		"the catalog":        {"GET /v2/_catalog", status(500), 200},
		"the HEAD of a push": {"HEAD /v2/app/blobs/" + digest, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, map[string]http.HandlerFunc{"west": slowly(status(200)), "east": test.east},
				func(c *rigConfig) {
					c.Limits.FirstByte, c.Limits.Lists, c.Limits.Alone = 200*time.Millisecond, patience, patience
				})
			g.want(g.do(test.line, nil), test.want, "west; reason=nearest")
		})
	}
}

// A replica that goes down while it is asked costs no more than that.
func TestDownWhileAsked(t *testing.T) {
	for name, line := range map[string]string{"a pull": "GET " + byDigest, "a push": "HEAD /v2/app/blobs/" + digest} {
		t.Run(name, func(t *testing.T) {
			var g *rig
			g = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
				g.set("west", down)
				hang(w, r)
			}, "east": status(200)}, func(c *rigConfig) { c.Limits.FirstByte, c.Limits.Alone = patience, patience })
			g.want(g.do(line, nil), 200, "east; reason=failover")
		})
	}
}

// Every request ends, whatever is down.
func TestAllHang(t *testing.T) {
	t.Parallel()
	for _, up := range []bool{true, false} {
		for _, line := range []string{"GET " + byDigest, "HEAD /v2/app/blobs/" + digest, "POST " + uploads,
			"PUT /v2/app/manifests/v1", "DELETE " + byDigest} {
			if up && !strings.HasPrefix(line, "GET") && !strings.HasPrefix(line, "HEAD") &&
				!strings.HasPrefix(line, "POST") {
				continue // a commit is waited for while its replica is up
			}
			g := newRig(t, map[string]http.HandlerFunc{"west": hang, "east": hang, "europe": hang}, func(c *rigConfig) {
				c.Limits.FirstByte, c.Limits.Alone, c.Limits.Commit = 300*time.Millisecond, 600*time.Millisecond,
					time.Hour
			})
			if !up {
				for name := range points {
					g.set(name, down)
				}
			}
			var body io.Reader
			if strings.HasPrefix(line, "PUT") {
				body = strings.NewReader(`{"schemaVersion":2,"layers":[{"digest":"` + digest + `"}]}`)
			}
			if got := g.do(line, body); got.status < 502 && got.err == nil {
				t.Errorf("%s, up: %t: %v", line, up, got)
			}
		}
	}
}

// While the probes say that all are down, a body that moves is taken, however long that takes.
func TestABodyOfLastResort(t *testing.T) {
	t.Parallel()
	g := newRig(t, map[string]http.HandlerFunc{"west": accepts},
		func(c *rigConfig) { c.Limits.Alone = 300 * time.Millisecond })
	for name := range points {
		g.set(name, down)
	}
	body, layer := io.Pipe()
	go func() {
		for range 8 {
			_, _ = layer.Write(random(2000))
			<-time.After(100 * time.Millisecond)
		}
		layer.Close()
	}()
	g.want(g.do("PATCH "+uploads+"1?fairlead-replica=west", body), 202, "west; reason=last_resort")
}

// A client that leaves before anybody was asked is no crash.
func TestClientThatLeftBefore(t *testing.T) {
	g := newRig(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if why := recover(); why != http.ErrAbortHandler {
				t.Errorf("panicked with %v", why)
			}
		}()
		g.proxy.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, byDigest, nil))
	}()
	if n := g.counted("499"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// A gateway that does not know yet that the replica is gone says so in its own name: that is no answer of the
// replica's.
func TestAPeersRefusal(t *testing.T) {
	var peer *rig
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		peer.proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	peer = newRig(t, map[string]http.HandlerFunc{"west": breakOff}, nil)
	for line, want := range map[string]int{"GET " + byDigest: 200, "HEAD /v2/app/blobs/" + digest: 200,
		"POST " + uploads: 200} {
		var g *rig
		g = newRig(t, map[string]http.HandlerFunc{"east": status(200)}, func(c *rigConfig) {
			c.Limits.AwaitHealth = patience
			c.Trouble = func(name string) { g.set(name, down) } // as the probes find
			c.reach.Relay = upstream.Relay{Scheme: "http",
				Front: func(replica string) (string, bool) { return front.Listener.Addr().String(), replica == "west" }}
		})
		got := g.do(line, nil)
		g.want(got, want, "east; reason=failover")
		if got.header.Get(upstream.HopHeader) != "" {
			t.Error("the mark reached a client")
		}
	}
}

func TestWritesOfLastResortShareTheirTime(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": hang, "east": accepts},
		func(c *rigConfig) { c.Limits.Alone, c.Limits.Commit = 900*time.Millisecond, time.Hour })
	for name := range points {
		g.set(name, down)
	}
	g.want(g.do("POST "+uploads, nil), 202, "east; reason="+string(router.LastResort))
}

// TestOwnShortage: where this gateway has run out of something the client may come again, and no replica is to blame.
func TestOwnShortage(t *testing.T) {
	for _, line := range []string{"GET " + byDigest, "PUT /v2/app/manifests/v1"} {
		all := map[string]http.HandlerFunc{"west": breakOff, "east": breakOff, "europe": breakOff}
		g := newRig(t, all, func(c *rigConfig) { c.OwnShortage = func(error) bool { return true } })
		got := g.do(line, strings.NewReader("{}"))
		if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "run out of") {
			t.Errorf("%s: %v", line, got)
		}
		for name := range points {
			if g.troubled(name) {
				t.Errorf("%s: trouble with %s", line, name)
			}
		}
	}
}
