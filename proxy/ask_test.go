package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// Nobody waits for a client that has left: no other replica is asked, none is reported.
func TestClientThatLeaves(t *testing.T) {
	for name, request := range map[string]string{
		"a read":           plain("GET "+byDigest, ""),
		"a push begins":    plain("POST "+uploads, ""),
		"within its body":  plain("PATCH "+uploads+"1", "", "Content-Length: 1000000") + "abc",
		"awaiting a write": plain("PUT /v2/app/manifests/v1", "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan bool, 4)
			g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
				arrived <- true
				hang(w, r)
			}}, func(c *rigConfig) {
				c.Limits = Limits{time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 1, time.Hour, time.Hour,
					time.Hour, time.Hour, time.Hour, time.Hour}
			})
			conn := g.send(request)
			await(t, arrived, "the request")
			conn.Close()
			g.gateway.Close() // the end of the handler
			if seen := g.take(); len(seen) != 1 {
				t.Errorf("asked %q", seen)
			}
			if len(g.trouble) != 0 {
				t.Errorf("%q in trouble because a client has left", g.trouble)
			}
			if n := g.counted("499"); n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}
}

// A GET's body means nothing, and is not in the way of asking elsewhere.
func TestReadWithABody(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": breakOff, "east": func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); len(body) > 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, content)
	}}, nil)
	for _, method := range []string{"GET ", "HEAD "} {
		g.trouble = nil
		g.want(g.do(method+"/v2/app/tags/list", strings.NewReader("abc")), 200, "east; reason=failover")
		if len(g.trouble) != 1 || g.trouble[0] != "west" {
			t.Errorf("%s: trouble of %q", method, g.trouble)
		}
	}
}

// An answer that is not the one is dropped at once, not when its request ends: a layer takes hours.
func TestDroppedAnswersAreClosed(t *testing.T) {
	for _, code := range []int{404, 500} {
		dropped := make(chan bool)
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write(random(maxShort + 1))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(dropped)
		}, "east": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-dropped:
				_, _ = io.WriteString(w, content)
			case <-r.Context().Done():
			}
		}}, nil)
		if got := g.do("GET /v2/app/blobs/"+digest, nil); got.body != content || got.err != nil {
			t.Errorf("%d: %v %v: the dropped answer was held", code, got, got.err)
		}
	}
}

// Falling through is usual where replicas lag behind: it must not cost a connection each time.
func TestFallthroughKeepsTheConnection(t *testing.T) {
	for name, absent := range map[string]http.HandlerFunc{
		"nothing said": http.NotFound,
		"an envelope": func(w http.ResponseWriter,
			_ *http.Request) {
			writeError(w, 404, ociError{Code: codeNameUnknown})
		},
		"in chunks": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(random(maxShort))
		},
	} {
		var mu sync.Mutex
		from := map[string]bool{}
		g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			from[r.RemoteAddr] = true
			mu.Unlock()
			absent(w, r)
		}, "east": status(200)}, nil)
		for range 5 {
			g.want(g.do("GET /v2/app/blobs/"+digest, nil), 200, "east; reason=fallthrough")
		}
		if len(from) != 1 {
			t.Errorf("%s: %d connections for 5 requests", name, len(from))
		}
	}
}

// What the replica says of what nobody has reaches the client whole, read ahead or not.
func TestAbsencePasses(t *testing.T) {
	for _, size := range []int{0, 10, maxShort, maxShort + 1, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			text := random(size)
			g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				if chunked {
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = w.Write(text)
			}}, nil)
			got := g.do("GET "+byDigest, nil)
			g.want(reply{status: got.status, by: got.by}, 404, "west; reason=nearest")
			if got.err != nil || !bytes.Equal([]byte(got.body), text) {
				t.Errorf("%d bytes of %d, %v", len(got.body), size, got.err)
			}
		}
	}
}

// A replica that was down when it was asked, because none was up, is not given up for being down.
func TestLastResortIsAwaited(t *testing.T) {
	looks := make(chan bool)
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 3 {
			select {
			case <-looks:
			case <-r.Context().Done():
				return
			}
		}
		w.WriteHeader(http.StatusCreated)
	}}, func(c *rigConfig) {
		fleet := c.Fleet
		c.Fleet = func() *router.Fleet {
			select {
			case looks <- true: // somebody waits for it
			default:
			}
			return fleet()
		}
	})
	for name := range points {
		g.set(name, down)
	}
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "west; reason=last_resort")
}

// The second answer is the one that counts: it is learnt from, and what it names is rewritten.
func TestTheAnswerOfTheSecondBeginning(t *testing.T) {
	for _, test := range []struct {
		name    string
		europe  http.HandlerFunc
		status  int
		located bool
	}{
		{"accepted", accepts, 202, true},
		{"refused", status(403), 403, false},
		{"a Location elsewhere", status(202, "Location: http://evil.example"+uploads+"1"), 502, false},
		{"broken off", breakOff, 502, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var g *rig
			g = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
				g.proxy.leases.accept(t.Context(), "app", "europe", bob, time.Now())
				accepts(w, r)
			}, "europe": test.europe}, nil)
			got := g.do("POST "+uploads, nil)
			g.want(reply{status: got.status, by: got.by}, test.status, "europe; reason=leased")
			if l := got.header.Get("Location"); (l != "") != test.located || strings.Contains(l, "example") {
				t.Errorf("Location %q", l)
			}
			if learnt := g.proxy.Leases()[0]; learnt.Owner != "europe" {
				t.Errorf("%+v", learnt)
			}
		})
	}
}

// A mount says that a blob is where the push is. Done twice, it is where the second says.
func TestASecondMount(t *testing.T) {
	var g *rig
	mounts := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
	g = newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		g.proxy.leases.accept(t.Context(), "app", "europe", bob, time.Now())
		mounts(w, r)
	}, "europe": mounts}, nil)
	g.want(g.do("POST "+uploads+"?mount=sha256:1&from=base", nil), 201, "europe; reason=leased")
	g.want(g.do("PUT /v2/app/manifests/v1", strings.NewReader("{}")), 201, "europe; reason=leased")
}

// Nobody reads a body that comes with a GET, so it must not count as one that stalls.
func TestABodyThatNobodyReadsDoesNotStall(t *testing.T) {
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": hang, "east": status(200)}, nil)
	g.want(g.do("GET "+byDigest, strings.NewReader("abc")), 200, "east; reason=failover")
}
