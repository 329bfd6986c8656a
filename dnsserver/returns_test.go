package dnsserver

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/router"
)

// answered is where a client is sent, for how long, and how far around it that holds.
type answered struct {
	address string
	ttl     uint32
	scope   uint8
}

func (f fixture) sent(t *testing.T, client string) answered {
	t.Helper()
	m := ask("registry.example A")
	clientSubnet(client)(m)
	query, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var reply dns.Msg
	if err := reply.Unpack(f.Answer(query, netip.MustParseAddr("192.0.2.53"), false)); err != nil {
		t.Fatal(err)
	}
	a, ok := reply.Answer[0].(*dns.A)
	if !ok {
		t.Fatal(&reply)
	}
	subnet := reply.IsEdns0().Option[0].(*dns.EDNS0_SUBNET)
	return answered{a.A.String(), a.Hdr.Ttl, subnet.SourceScope}
}

// TestReplicaGetsItsClientsBack: a replica was down. Each client is sent to it once, and whatever a resolver keeps of an
// answer is for that client's prefix alone, and until its turn.
func TestReplicaGetsItsClientsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var fleet *router.Fleet
		f := serving(nil)
		f.fleet = func() *router.Fleet {
			mu.Lock()
			defer mu.Unlock()
			return fleet
		}
		set := func(h router.Health) {
			mu.Lock()
			defer mu.Unlock()
			fleet = router.NewFleet(upstream("westus", h)(replicas()))
		}
		const clients = 200
		near, next := "203.0.113.10", "203.0.113.20"
		client := func(i int) string { return fmt.Sprintf("10.1.%d.0/24", i) }
		set(up)
		if got := f.sent(t, client(0)); got != (answered{near, 300, 15}) {
			t.Errorf("at first: %+v", got)
		}
		set(down)
		if got := f.sent(t, client(0)); got != (answered{next, 300, 15}) {
			t.Errorf("while it is down: %+v", got)
		}
		set(up)
		moved := map[string]bool{}
		for at := range 46 {
			back := 0
			for i := range clients {
				switch got := f.sent(t, client(i)); {
				case got.address == near:
					back++
					moved[client(i)] = true
					if at < 45 && got != (answered{near, 300, 24}) || at == 45 && got.scope != 15 {
						t.Fatalf("after %d s, back: %+v", at, got)
					}
				case moved[client(i)]:
					t.Fatalf("after %d s %s is sent away again", at, client(i))
				case got.address != next || got.scope != 24 || got.ttl < 1 || int(got.ttl) > 45-at:
					t.Fatalf("after %d s, not yet: %+v", at, got)
				}
			}
			if share := clients * at / 45; back < share-25 || back > share+25 {
				t.Errorf("after %d s %d of %d are back", at, back, clients)
			}
			set(up) // another fleet, in which nothing has changed
			time.Sleep(time.Second)
		}
		if got := f.sent(t, "2001:db8:4::/56"); got.scope != 46 {
			t.Errorf("in the end: %+v", got)
		}
	})
}

// Where all places have one order, answers differ all the same while clients come back.
func TestScopeWhileClientsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alike := func(h router.Health) *router.Fleet {
			return router.NewFleet(upstream("westus", h)(replicas()))
		}
		fleet := alike(up)
		f := serving(nil)
		f.fleet = func() *router.Fleet { return fleet }
		placed := router.NewMap(replicas(), nil, nil)
		f.worldMap = func() *router.Map { return placed }
		for _, c := range []struct {
			health router.Health
			scopes map[string]uint8
		}{
			{up, map[string]uint8{"10.1.0.0/16": 0, "2001:db8::/32": 0}},
			{down, map[string]uint8{"10.1.0.0/16": 0, "2001:db8::/32": 0}},
			{up, map[string]uint8{"10.1.0.0/16": 24, "10.1.2.128/25": 24, "2001:db8::/32": 56, "::ffff:10.1.0.0/112": 120}},
		} {
			fleet = alike(c.health)
			for client, want := range c.scopes {
				if got := f.sent(t, client); got.scope != want {
					t.Errorf("%s, up %t: %+v, want scope %d", client, c.health.Up, got, want)
				}
			}
		}
		time.Sleep(router.ReturnTakes)
		if got := f.sent(t, "10.1.0.0/16"); got.scope != 0 {
			t.Errorf("in the end: %+v", got)
		}
	})
}
