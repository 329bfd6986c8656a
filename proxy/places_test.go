package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(2)
		a, b := placeKey{"west", clientOf("A")}, placeKey{"west", clientOf("B")}
		take := func(who placeKey) func() {
			leave, err := p.enter(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		first, second := take(a), take(a)
		take(b)() // the other client's, the other replica's
		take(placeKey{"east", a.client})()

		order := make(chan string, 3)
		wait := func(name string, ctx context.Context) {
			go func() {
				leave, err := p.enter(ctx, a)
				if err != nil {
					name += ": " + err.Error()
				} else {
					defer leave()
				}
				order <- name
			}()
			synctest.Wait()
		}
		late, cancel := context.WithCancelCause(t.Context())
		wait("one", t.Context())
		wait("gone", late)
		wait("two", t.Context())
		cancel(errNoAnswer)
		synctest.Wait()
		first()
		synctest.Wait()
		second()
		synctest.Wait()
		for _, want := range []string{"gone: " + errTooManyThere.Error(), "one", "two"} {
			if got := <-order; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if len(p.of) != 0 {
			t.Errorf("%d are remembered", len(p.of))
		}
	})
}

// TestPlacesOfWhoLeaves: what else ended the wait is why.
func TestPlacesOfWhoLeaves(t *testing.T) {
	p, who := newPlaces(1), placeKey{"west", clientOf("A")}
	leave, _ := p.enter(t.Context(), who)
	defer leave()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errReplicaDown)
	if _, err := p.enter(ctx, who); !errors.Is(err, errReplicaDown) {
		t.Error(err)
	}
}

// TestOneClientLeavesConnections: a client that has as many pulls under way at a replica as there may be connections
// leaves some for another one's push, and its own that do not end cost it a 429 of ours.
func TestOneClientLeavesConnections(t *testing.T) {
	arrived, release := make(chan bool, 100), make(chan bool)
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			arrived <- true
			<-release
			_, _ = io.WriteString(w, content)
			return
		}
		accepts(w, r)
	}}, func(c *rigConfig) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.way.MaxConns = 5
	})
	replies := make(chan reply, 6)
	for range cap(replies) {
		go func() { replies <- g.do("GET /v2/?fairlead-replica=west", nil, "X-Forwarded-For: 192.0.2.1") }()
	}
	for range 4 {
		await(t, arrived, "pulls")
	}
	g.want(g.do("POST "+uploads, nil, "X-Forwarded-For: 192.0.2.2"), 202, "west; reason=nearest")
	if n := len(arrived); n != 0 {
		t.Errorf("%d more pulls arrived than the client's share", n)
	}
	close(release)
	for range cap(replies) {
		if got := await(t, replies, "pulls"); got.status != 200 {
			t.Error(got)
		}
	}
}

// TestTooManyAtOneReplica: who waited in vain for his own requests is told so, and the replica is in no trouble.
func TestTooManyAtOneReplica(t *testing.T) {
	t.Parallel()
	g := newHastyRig(t, map[string]http.HandlerFunc{"west": hang}, func(c *rigConfig) {
		c.way.MaxConns = 1
		c.Limits.Alone = time.Second
	})
	client := netip.MustParseAddr("127.0.0.1")
	g.proxy.leases.accept(t.Context(), "app", "west", client, time.Now())
	leave, _ := g.proxy.places.enter(t.Context(), placeKey{"west", clientPrefix(client)})
	defer leave()
	got := g.do("POST "+uploads, nil)
	g.want(got, 429, "-; reason=client_limit")
	if g.troubled("west") || got.header.Get("Retry-After") == "" {
		t.Errorf("%v %q", got.header, g.trouble)
	}
}
