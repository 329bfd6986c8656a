package proxy

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// incarnated gives each replica of a rig an incarnation, in the fleet, in its ways and in the settings.
func (g *rig) incarnated(ways upstream.Settings, of map[string]string) {
	registries := map[string]Registry{}
	for i := range g.replicas {
		r := &g.replicas[i]
		r.Incarnation = of[r.Name]
		registries[r.Name] = Registry{Incarnation: r.Incarnation, Drains: r.Operator != router.Online}
	}
	for i := range ways.Endpoints {
		ways.Endpoints[i].Incarnation = of[ways.Endpoints[i].Name]
	}
	g.proxy.Upstreams.Update(ways)
	g.update(func(s *Settings) { s.Registries = registries })
	g.fleet.Store(router.NewFleet(g.replicas))
}

// TestAnUploadAtAnotherRegistry: an upload whose replica has become another registry is lost. That one never sees it.
func TestAnUploadAtAnotherRegistry(t *testing.T) {
	begin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost || r.Method == http.MethodPatch {
			w.Header().Set("Location", "/v2/app/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}
	var ways upstream.Settings
	one := map[string]string{"west": "00000001", "east": "00000002", "europe": "00000003"}
	for _, test := range []struct {
		name   string
		change func(g *rig, now map[string]string)
		mark   string // in place of the one that was handed out; "": that
		lost   bool
	}{
		{"the same registry", func(*rig, map[string]string) {}, "", false},
		{"another one", func(_ *rig, now map[string]string) { now["west"] = "0000000f" }, "", true},
		{"another one, by the mark of a gateway that knows no incarnations",
			func(_ *rig, now map[string]string) { now["west"] = "0000000f" }, "west", false},
		{"a replica elsewhere becomes another one", func(_ *rig, now map[string]string) { now["east"] = "0000000f" }, "",
			false},
		{"it leaves", func(g *rig, _ map[string]string) {
			g.set("west", func(r *router.Replica) { r.Operator = router.Leaving })
		}, "", false},
		{"it has left for long", func(g *rig, now map[string]string) {
			g.set("west", func(r *router.Replica) { r.Operator = router.Leaving })
			g.incarnated(ways, now)
			g.proxy.settings.Load().drains["west"] = time.Now().Add(-router.DrainMost)
		}, "", true},
		{"it drains for long", func(g *rig, now map[string]string) {
			g.set("west", func(r *router.Replica) { r.Operator = router.Drain })
			g.incarnated(ways, now)
			g.proxy.settings.Load().drains["west"] = time.Now().Add(-router.DrainMost)
		}, "", false},
		{"none of the fleet's", func(*rig, map[string]string) {}, "gone~00000001", true},
	} {
		g := newRig(t, map[string]http.HandlerFunc{"west": begin, "east": status(404), "europe": status(404)},
			func(c *rigConfig) { ways = c.reach })
		g.incarnated(ways, one)
		first := g.do("POST /v2/app/blobs/uploads/", nil)
		location := first.header.Get("Location")
		if !strings.HasSuffix(location, "fairlead-replica=west~00000001") {
			t.Fatalf("%s: %v %q", test.name, first, location)
		}
		if got := g.do("PATCH "+location, strings.NewReader(strings.Repeat("x", maxKept+1))); got.status != 202 {
			t.Fatalf("%s: %v", test.name, got)
		}
		location = strings.Replace(location, "fairlead-upload=empty&", "", 1)
		now := maps.Clone(one)
		test.change(g, now)
		g.incarnated(ways, now)
		if test.mark != "" {
			location = strings.Replace(location, "west~00000001", test.mark, 1)
		}
		g.take()
		got := g.do("PATCH "+location, strings.NewReader("rest"))
		if lost := got.status != 202; lost != test.lost || lost && len(g.take()) > 0 {
			t.Errorf("%s: %v", test.name, got)
		}
		if test.lost && test.mark == "" { // it was broken off
			g.want(g.do("PATCH "+location, strings.NewReader("rest")), 502, "west; reason=upload_lost")
		}
	}
}

// TestPushByTheNameOfOneThatLeaves: it would leave with its replica. What was begun there ends there, it is deleted
// from, and another gateway has decided by itself what it sends there.
func TestPushByTheNameOfOneThatLeaves(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(202)}, nil)
	g.set("west", func(r *router.Replica) { r.Operator = router.Leaving })
	const named = "Host: west.registry.contoso.com"
	for _, test := range []struct {
		request string
		header  []string
		status  int
	}{
		{"POST /v2/app/blobs/uploads/", nil, 405},
		{"PUT /v2/app/manifests/v1", nil, 405},
		{"PATCH /v2/app/blobs/uploads/1", nil, 202},
		{"PUT /v2/app/blobs/uploads/1", nil, 202},
		{"GET /v2/app/manifests/v1", nil, 202},
		{"DELETE /v2/app/manifests/v1", nil, 202},
		{"POST /v2/app/blobs/uploads/", []string{upstream.HopHeader + ": 1"}, 202},
	} {
		g.take()
		got := g.do(test.request, strings.NewReader("{}"), append(test.header, named)...)
		if got.status != test.status || (got.status == 405) != (len(g.take()) == 0) {
			t.Errorf("%s %q: %v", test.request, test.header, got)
		}
		if got.status == 405 {
			g.want(got, 405, "-; reason=leaving")
		}
	}
}

// TestForgetsWhatIsGone: nothing that is remembered of a replica outlives it, or counts for another registry of its name.
func TestForgetsWhatIsGone(t *testing.T) {
	var ways upstream.Settings
	g := newRig(t, nil, func(c *rigConfig) { ways = c.reach })
	g.incarnated(ways, map[string]string{"west": "1", "east": "1", "europe": "1"})
	p, now, client := g.proxy, time.Now(), netip.MustParseAddr("192.0.2.1")
	k := pushKey{client, "app"}
	at := blobAt{"sha256:1", "west"}
	names := func(families ...string) (found []string) {
		all, err := p.Registerer.(*prometheus.Registry).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if slices.Contains([]string{"replica", "from", "to"}, l.GetName()) && l.GetValue() == "west" {
						found = append(found, f.GetName())
					}
				}
			}
		}
		return found
	}
	note := func() {
		p.leases.accept(t.Context(), "app", "west", client, now)
		p.pushes.note(k, "sha256:1", "west", now)
		p.readOnly.note("app", "west", now)
		p.throttled.note("west", clientPrefix(client), time.Minute, now)
		p.speeds.note("west", 1, now)
		p.looks.foundDamaged(at, "app", now)
		p.begun.note("upload", "west", now)
		p.metrics.trouble.inc("west")
		p.metrics.resumed.inc("east", "west", "slow")
	}
	remembered := func() map[string]bool {
		leases, uploads := p.Left("west")
		return map[string]bool{
			"lease": leases > 0, "upload": uploads > 0, "binding": p.leases.boundTo("app", client, now) != "",
			"push": p.pushes.replicaOf(k, "sha256:1", now) != "", "read-only": len(p.readOnly.names(now, "app")) > 0,
			"throttled": len(p.throttled.names(clientPrefix(client), now)) > 0, "speed": len(p.speeds.of) > 0,
			"damaged": len(p.Damaged()) > 0,
		}
	}
	note()
	for what, known := range remembered() {
		if !known {
			t.Errorf("%s is not remembered at all", what)
		}
	}
	g.incarnated(ways, map[string]string{"west": "1", "east": "2", "europe": "1"})
	for what, known := range remembered() {
		if !known {
			t.Errorf("%s is forgotten with another replica", what)
		}
	}
	g.incarnated(ways, map[string]string{"west": "2", "east": "2", "europe": "1"})
	for what, known := range remembered() {
		if known {
			t.Errorf("%s is remembered of another registry", what)
		}
	}
	if got := names(); len(got) != 2 {
		t.Errorf("series of a replica that has another registry now: %v", got)
	}
	note()
	g.update(func(s *Settings) {
		s.Registries = maps.Clone(s.Registries)
		delete(s.Registries, "west")
	})
	for what, known := range remembered() {
		if known {
			t.Errorf("%s is remembered of a replica that is gone", what)
		}
	}
	p.metrics.trouble.inc("west") // a request that ends now
	if got := names(); len(got) != 0 {
		t.Errorf("series of a replica that is gone: %v", got)
	}
}

// TestUpdateUnderLoad: each request goes by one set of settings, and none fails because they change.
func TestUpdateUnderLoad(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": status(200), "east": status(200), "europe": status(200)}, unlogged)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if got := g.do(fmt.Sprintf("GET /v2/app%d/blobs/%s", i, digest), nil); got.status != 200 {
					t.Error(got, got.err)
				}
			}
		})
	}
	for i := range 200 {
		g.update(func(s *Settings) {
			s.Paths, s.OwnerHome, s.LeaseIdle = []string{fmt.Sprint("/", i)}, i%2 == 0, time.Duration(i+1)*time.Second
			s.ClientShare, s.Hashing = 0.5+float64(i%2)/4, float64(i%2)
			s.TrustedProxies = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), i%2)}
			s.Registries = map[string]Registry{"west": {}, "east": {}, "europe": {Drains: i%3 == 0}}
		})
	}
	cancel()
	all.Wait()
	if got := g.proxy.Draining(); len(got) != 0 {
		t.Errorf("%v drain", got)
	}
}

// agreedLease is what gateways agree on, of one repository.
type agreedLease struct {
	alone
	owner   string
	last    time.Time
	revoked string
}

func (a *agreedLease) Owner(string) string   { return a.owner }
func (a *agreedLease) Last(string) time.Time { return a.last }
func (a *agreedLease) RevokeDrained(_, owner string) {
	a.owner, a.revoked = "", owner
}
func (a *agreedLease) Accept(_ context.Context, _, replica string) string {
	if a.owner == "" {
		a.owner = replica
	}
	return a.owner
}

// TestAgreedLeaseAtADrain: what gateways agree on ends at a replica that drains as a gateway's own lease does, and goes
// when another replica accepts.
func TestAgreedLeaseAtADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := netip.MustParseAddr("192.0.2.1")
		a := &agreedLease{owner: "west", last: time.Now()}
		l := newLeases(10*time.Minute, a, maxRemembered)
		l.drains.Store(&router.Drains{"west": time.Now()})
		owner := func(want string) {
			t.Helper()
			if got := l.owner("app", time.Now()); got != want {
				t.Errorf("owner %q, want %q", got, want)
			}
		}
		owner("west")
		time.Sleep(2 * time.Minute)
		owner("west") // others may have passed on writes since
		time.Sleep(2 * time.Minute)
		owner("")
		if got := l.accept(t.Context(), "app", "west", client, time.Now()); got != "west" || a.revoked != "" {
			t.Errorf("a part of an upload there: %q, %q is revoked", got, a.revoked)
		}
		owner("")
		if got := l.accept(t.Context(), "app", "east", client, time.Now()); got != "east" || a.revoked != "west" {
			t.Errorf("elsewhere: %q, %q is revoked", got, a.revoked)
		}
		owner("east")
	})
}

// TestPushesLeft: the metric is there while a replica drains.
func TestPushesLeft(t *testing.T) {
	g := newRig(t, map[string]http.HandlerFunc{"west": func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusCreated)
			return
		}
		w.Header().Set("Location", "/v2/app/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	}}, nil)
	left := func() string {
		all, err := g.proxy.Registerer.(*prometheus.Registry).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.GetName() == "fairlead_proxy_pushes_left" {
				return fmt.Sprint(f.GetMetric()[0].GetGauge().GetValue())
			}
		}
		return "none"
	}
	drain := func(drains bool) {
		g.update(func(s *Settings) {
			s.Registries = map[string]Registry{"west": {Drains: drains}, "east": {}, "europe": {}}
		})
	}
	location := g.do("POST /v2/app/blobs/uploads/", nil).header.Get("Location")
	if got := left(); got != "none" {
		t.Errorf("before: %s", got)
	}
	drain(true)
	if got := left(); got != "2" {
		t.Errorf("a lease and an upload: %s", got)
	}
	g.do("PUT "+location+"&digest="+digest, nil)
	if got := left(); got != "1" {
		t.Errorf("the lease: %s", got)
	}
	drain(false)
	if got := left(); got != "none" {
		t.Errorf("after: %s", got)
	}
}
