package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// counting is an agreement that grants what it is asked and counts that.
type counting struct {
	alone
	asked map[string]bool
}

func (c *counting) Accept(_ context.Context, repository, replica string) string {
	c.asked[repository] = true
	return replica
}

// One client's leases push out its own and nobody else's, and are not told to other gateways beyond its share.
func TestAClientHasAShareOfTheLeases(t *testing.T) {
	agreed := &counting{asked: map[string]bool{}}
	l := newLeases(time.Minute, agreed, maxRemembered)
	l.quotas.most = 3
	now := start
	accept := func(client netip.Addr, repository string) {
		now = now.Add(time.Second)
		l.accept(t.Context(), repository, "west", client, now)
	}
	accept(bob, "bob")
	for i := range 10 {
		accept(alice, fmt.Sprint("alice-", i))
	}
	if got := l.owner("bob", now); got != "west" {
		t.Error("the flood pushed out another client's lease")
	}
	for i, want := range map[int]string{0: "", 6: "", 7: "west", 9: "west"} {
		if got := l.owner(fmt.Sprint("alice-", i), now); got != want {
			t.Errorf("alice-%d: %q", i, got)
		}
	}
	if len(agreed.asked) != 4 {
		t.Errorf("told to others: %v", agreed.asked)
	}
	now = now.Add(time.Hour)
	accept(alice, "later")
	if !agreed.asked["later"] {
		t.Error("what has ended still counts")
	}
	accept(bob, "alice-9")
	if len(l.quotas.by) != l.byName.Len() {
		t.Errorf("%d leases, %d counted", l.byName.Len(), len(l.quotas.by))
	}
}

func TestClientPrefix(t *testing.T) {
	for client, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := clientPrefix(netip.MustParseAddr(client)); got.String() != want {
			t.Errorf("%s: %s", client, got)
		}
	}
	if got := clientPrefix(netip.Addr{}); got.IsValid() {
		t.Errorf("%v", got)
	}
}

// spreading is an agreement that counts how often all are told.
type spreading struct {
	alone
	spread int
}

func (s *spreading) Spread(context.Context, string) { s.spread++ }

// Before a client hears that a manifest was accepted or deleted, all gateways know whom to ask for it.
func TestAManifestIsSpreadBeforeItsAnswer(t *testing.T) {
	agreed := &spreading{}
	s := newScattered(t)
	s.proxy.leases.agreed = agreed
	s.at["west"].blob("config")
	for _, test := range []struct {
		do   func() reply
		want int
	}{
		{func() reply { return s.do("POST "+uploads, nil) }, 0},
		{func() reply { return s.do("HEAD "+byDigest, nil) }, 0},
		{func() reply { return s.putManifest("v1", imageOf("config")) }, 1},
		{func() reply { return s.do("DELETE /v2/app/manifests/v1", nil) }, 2},
	} {
		if got := test.do(); agreed.spread != test.want {
			t.Errorf("after %v: %d", got, agreed.spread)
		}
	}
}
