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
	l := newLeases(time.Minute, agreed)
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

func TestHousehold(t *testing.T) {
	for client, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := household(netip.MustParseAddr(client)); got.String() != want {
			t.Errorf("%s: %s", client, got)
		}
	}
	if got := household(netip.Addr{}); got.IsValid() {
		t.Errorf("%v", got)
	}
}
