package dnsserver

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/router"
)

// many gives each replica n IPv4 addresses.
func many(n int) func([]router.Replica) []router.Replica {
	return func(rs []router.Replica) []router.Replica {
		for i := range rs {
			rs[i].Fronts = nil
			for j := range n {
				rs[i].Fronts = append(rs[i].Fronts, front(fmt.Sprintf("203.0.%d.%d", i, j), up))
			}
		}
		return rs
	}
}

func TestAnswerTruncated(t *testing.T) {
	for _, x := range []struct {
		name      string
		with      func(*dns.Msg)
		tcp       bool
		addresses int
		max       int
		truncated bool
	}{
		{"fits", nil, false, 29, 512, false},
		{"does not fit", nil, false, 40, 512, true},
		{"does not fit the client's size", edns(600), false, 40, 600, true},
		{"fits EDNS", edns(1232), false, 70, 1232, false},
		{"does not fit our size", edns(4096), false, 100, 1232, true},
		{"fits TCP", nil, true, 200, 65535, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := ask("registry.example A")
			if x.with != nil {
				x.with(m)
			}
			reply := serving(many(x.addresses)).Answer(wire(t, m), netip.MustParseAddr(whoFrom), x.tcp)
			got := unpack(t, reply)
			if len(reply) > x.max || got.Truncated != x.truncated || (len(got.Answer) == x.addresses) == x.truncated {
				t.Errorf("%d bytes with %d addresses, TC %t", len(reply), len(got.Answer), got.Truncated)
			}
			if (got.IsEdns0() != nil) != (m.IsEdns0() != nil) {
				t.Errorf("EDNS in the reply: %t", got.IsEdns0() != nil)
			}
		})
	}
}

func TestLogAnswer(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var log bytes.Buffer
		s := serving(nil)
		s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
		m := ask("registry.example A")
		clientSubnet("10.4.4.0/24")(m)
		s.Answer(wire(t, m), netip.MustParseAddr("::ffff:192.0.2.53"), false)
		want := `client=192.0.2.53 subnet=10.4.4.0/24 name=registry.example. type=A rcode=NOERROR reason=nearest replica=westeurope scope=26`
		if got := strings.Contains(log.String(), want); got != (level == slog.LevelDebug) {
			t.Errorf("at %v: %q", level, log.String())
		}
	}
}

// A fault of ours costs one reply, one counter, and one log line however often it is hit.
func TestGuarded(t *testing.T) {
	var log bytes.Buffer
	s := serving(nil)
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.worldMap = func() *router.Map { panic("fault") }
	for range 3 {
		if reply := s.guarded(wire(t, ask("registry.example A")), netip.Addr{}, false); reply != nil {
			t.Errorf("reply %x", reply)
		}
	}
	if n := s.counters(t)["dropped panic"]; n != 3 {
		t.Errorf("%v panics counted", n)
	}
	if n := strings.Count(log.String(), "fault"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	if reply := s.guarded(wire(t, ask("registry.example SOA")), netip.Addr{}, false); reply == nil {
		t.Error("no reply afterwards")
	}
}

// What cannot be written down is a fault of ours that must show, not a query that vanished.
func TestAnswerCannotPack(t *testing.T) {
	s := serving(nil)
	s.locate = func(netip.Addr) geo.Location {
		return geo.Location{Source: geo.SourceDatabase, Country: strings.Repeat("x", 300)}
	}
	if reply := s.Answer(wire(t, ask("whoami.registry.example TXT")), netip.Addr{}, true); reply != nil {
		t.Errorf("reply %x", reply)
	}
	s.wantCounter(t, "dropped pack")
}

func TestMetrics(t *testing.T) {
	s := serving(nil)
	s.Answer(wire(t, ask("registry.example A")), netip.Addr{}, false)
	if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if n, err := testutil.GatherAndCount(s.reg, "fairlead_dns_dropped_total"); n != 7 || err != nil {
		t.Errorf("%d kinds of drops start at zero: %v", n, err)
	}
}
