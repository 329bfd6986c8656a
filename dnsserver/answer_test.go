package dnsserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/router"
)

const (
	soa     = "registry.example. 60 SOA ns1.example. hostmaster.registry.example. 1 3600 600 86400 60"
	whoFrom = "192.0.2.53" // a resolver that nobody can place
)

// exchange is one query and all that its reply must be.
type exchange struct {
	name  string
	fleet func([]router.Replica) []router.Replica
	from  string // default: whoFrom
	query string
	with  func(*dns.Msg)

	rcode     int
	notAA     bool
	answer    []string
	authority []string
	options   []string
	counter   string
}

func (x exchange) run(t *testing.T) {
	s := serving(x.fleet)
	from := whoFrom
	if x.from != "" {
		from = x.from
	}
	m := ask(x.query)
	if x.with != nil {
		x.with(m)
	}
	reply := s.Answer(wire(t, m), netip.MustParseAddr(from), false)
	if reply == nil {
		t.Fatal("no reply")
	}
	got := unpack(t, reply)
	if !got.Response || got.Id != m.Id || got.RecursionAvailable || got.Truncated {
		t.Errorf("header: %+v", got.MsgHdr)
	}
	if got.Rcode != x.rcode || got.Authoritative == x.notAA || got.RecursionDesired != m.RecursionDesired {
		t.Errorf("rcode %s, AA %t, RD %t; want %s, %t, %t", dns.RcodeToString[got.Rcode], got.Authoritative,
			got.RecursionDesired, dns.RcodeToString[x.rcode], !x.notAA, m.RecursionDesired)
	}
	same(t, "question", []string{got.Question[0].String()}, []string{m.Question[0].String()})
	same(t, "answer", records(got.Answer), x.answer)
	same(t, "authority", records(got.Ns), x.authority)
	same(t, "options", optionsOf(got), x.options)
	if (got.IsEdns0() != nil) != (m.IsEdns0() != nil) {
		t.Errorf("EDNS in the reply: %t, in the query: %t", got.IsEdns0() != nil, m.IsEdns0() != nil)
	}
	s.wantCounter(t, x.counter)
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// only leaves the one replica of that name.
func only(name string) func([]router.Replica) []router.Replica {
	return func(rs []router.Replica) []router.Replica {
		return slices.DeleteFunc(rs, func(r router.Replica) bool { return r.Name != name })
	}
}

// upstream changes one replica's upstream.
func upstream(name string, h router.Health) func([]router.Replica) []router.Replica {
	return func(rs []router.Replica) []router.Replica {
		for i := range rs {
			if rs[i].Name == name {
				rs[i].Upstream = h
			}
		}
		return rs
	}
}

func allDown(rs []router.Replica) []router.Replica {
	for i := range rs {
		for j := range rs[i].Fronts {
			rs[i].Fronts[j].Health = down
		}
	}
	return rs
}

func noIPv6(rs []router.Replica) []router.Replica {
	for i := range rs {
		rs[i].Fronts = slices.DeleteFunc(rs[i].Fronts, func(f router.Front) bool { return f.Addr.Is6() })
	}
	return rs
}

func TestAnswerNearest(t *testing.T) {
	for _, x := range []exchange{
		{name: "resolver near west", from: "10.1.2.3", query: "registry.example A",
			answer: []string{"registry.example. 300 A 203.0.113.10"}, counter: "A nearest"},
		{name: "resolver near west, IPv6", from: "10.1.2.3", query: "registry.example AAAA",
			answer: []string{"registry.example. 300 AAAA 2001:db8::10"}, counter: "AAAA nearest"},
		{name: "resolver's address IPv4-mapped", from: "::ffff:10.2.0.1", query: "registry.example A",
			answer: []string{"registry.example. 300 A 203.0.113.20"}, counter: "A nearest"},
		{name: "nobody can place the resolver: home", query: "registry.example A",
			answer: []string{"registry.example. 300 A 203.0.113.10"}, counter: "A nearest"},
		{name: "the case of the query is kept", from: "10.1.2.3", query: "reGIStry.eXAmple A",
			answer: []string{"reGIStry.eXAmple. 300 A 203.0.113.10"}, counter: "A nearest"},
		{name: "RD is echoed", from: "10.1.2.3", query: "registry.example A",
			with:   func(m *dns.Msg) { m.RecursionDesired = true },
			answer: []string{"registry.example. 300 A 203.0.113.10"}, counter: "A nearest"},
		{name: "EDNS without options", from: "10.1.2.3", query: "registry.example A", with: edns(1400),
			answer: []string{"registry.example. 300 A 203.0.113.10"}, counter: "A nearest"},
		{name: "only the front that is up", from: "10.4.4.4", query: "registry.example A",
			answer: []string{"registry.example. 300 A 203.0.113.31"}, counter: "A nearest"},
		{name: "none of the family is up: all of it", from: "10.4.4.4", query: "registry.example AAAA",
			answer: []string{"registry.example. 300 AAAA 2001:db8::30"}, counter: "AAAA nearest"},
		{name: "a family that the chosen replica lacks, not the next one's", from: "10.2.0.1",
			query: "registry.example AAAA",
			with:  clientSubnet("10.2.0.0/16"), authority: []string{negative(5)},
			options: []string{"subnet 10.2.0.0/16/15"}, counter: "AAAA nodata"},
		{name: "a family that no replica has", query: "registry.example AAAA", fleet: noIPv6,
			with: clientSubnet("10.1.0.0/16"), authority: []string{soa},
			options: []string{"subnet 10.1.0.0/16/0"}, counter: "AAAA nodata"},
		{name: "failover", from: "10.1.2.3", query: "registry.example A", fleet: upstream("westus", down),
			answer: []string{"registry.example. 300 A 203.0.113.20"}, counter: "A failover"},
		{name: "all down", from: "10.4.4.4", query: "registry.example A", fleet: allDown,
			answer:  []string{"registry.example. 300 A 203.0.113.30", "registry.example. 300 A 203.0.113.31"},
			counter: "A last_resort"},
	} {
		t.Run(x.name, x.run)
	}
}

func TestAnswerTTL(t *testing.T) {
	unsteady := func(d time.Duration) func([]router.Replica) []router.Replica {
		return upstream("westus", router.Health{Up: true, ChangeIn: d})
	}
	a := func(ttl string) []string { return []string{"registry.example. " + ttl + " A 203.0.113.10"} }
	for _, x := range []exchange{
		{name: "steady", fleet: unsteady(0), answer: a("300")},
		{name: "rounded up", fleet: unsteady(4001 * time.Millisecond), answer: a("5")},
		{name: "whole seconds stay", fleet: unsteady(4 * time.Second), answer: a("4")},
		{name: "never 0", fleet: unsteady(time.Nanosecond), answer: a("1")},
		{name: "no longer than the file's", fleet: unsteady(time.Hour), answer: a("300")},
	} {
		x.from, x.query, x.counter = "10.1.2.3", "registry.example A", "A nearest"
		t.Run(x.name, x.run)
	}
	exchange{fleet: upstream("eastus", router.Health{Up: true, ChangeIn: 3 * time.Second}), from: "10.2.0.1",
		query: "registry.example AAAA", counter: "AAAA nodata", authority: []string{negative(3)}}.run(t)
}

// negative is the SOA record of an answer that may be kept for so many seconds.
func negative(seconds int) string {
	return strings.NewReplacer(" 60 ", fmt.Sprintf(" %d ", seconds), " 86400 60",
		fmt.Sprintf(" 86400 %d", seconds)).Replace(soa)
}

func TestAnswerScope(t *testing.T) {
	westA := []string{"registry.example. 300 A 203.0.113.10"}
	europeA := []string{"registry.example. 300 A 203.0.113.31"}
	for _, x := range []exchange{
		{name: "shorter than the source", with: clientSubnet("10.1.2.0/24"), answer: westA,
			options: []string{"subnet 10.1.2.0/24/15"}},
		{name: "longer than the source", with: clientSubnet("10.4.4.0/24"), answer: europeA,
			options: []string{"subnet 10.4.4.0/24/26"}},
		{name: "the subnet beats the resolver", from: "10.1.2.3", with: clientSubnet("10.4.4.0/24"), answer: europeA,
			options: []string{"subnet 10.4.4.0/24/26"}},
		{name: "nobody can place the subnet: the resolver counts", from: "10.4.4.4",
			with:    clientSubnet("10.200.1.0/24"),
			answer:  europeA,
			options: []string{"subnet 10.200.1.0/24/24"}},
		{name: "one that is divided", from: "10.4.4.4", with: clientSubnet("10.0.0.0/8"), answer: europeA,
			options: []string{"subnet 10.0.0.0/8/15"}},
		{name: "nobody can place either: home", from: "192.0.2.53", with: clientSubnet("10.200.1.0/24"), answer: westA,
			options: []string{"subnet 10.200.1.0/24/9"}},
		{name: "IPv6", with: clientSubnet("2001:db8:4::/56"), answer: europeA,
			options: []string{"subnet 2001:db8:4::/56/46"}},
		{name: "IPv4-mapped", with: clientSubnet("::ffff:10.1.0.0/112"), answer: westA,
			options: []string{"subnet 10.1.0.0/112/111"}},
		{name: "nobody knows where it is", with: clientSubnet("198.51.100.0/24"), answer: westA,
			options: []string{"subnet 198.51.100.0/24/1"}},
		{name: "source 0: the resolver's address counts", from: "10.4.4.4", with: clientSubnet("0.0.0.0/0"),
			answer:  europeA,
			options: []string{"subnet 0.0.0.0/0/0"}},
		{name: "source 0, IPv6", from: "10.4.4.4", with: clientSubnet("::/0"), answer: europeA,
			options: []string{"subnet ::/0/0"}},
		{name: "source 0, family 0", from: "10.4.4.4", with: edns(4096, "8:00000000"), answer: europeA,
			options: []string{"subnet 0.0.0.0/0/0"}},
		{name: "one replica", fleet: only("westus"), with: clientSubnet("10.4.4.0/24"), answer: westA,
			options: []string{"subnet 10.4.4.0/24/0"}},
		{name: "beside options we do not know", with: edns(4096, "10:0011223344556677", "8:000118000a0102", "65001:"),
			answer:  westA,
			options: []string{"subnet 10.1.2.0/24/15"}},
	} {
		x.query, x.counter = "registry.example A", "A nearest"
		t.Run(x.name, x.run)
	}
}

func TestAnswerFixed(t *testing.T) {
	subnet, zero := clientSubnet("10.1.2.0/24"), []string{"subnet 10.1.2.0/24/0"}
	for _, x := range []exchange{
		{name: "SOA", query: "registry.example SOA", with: subnet, answer: []string{soa}, options: zero,
			counter: "SOA fixed"},
		{name: "NS", query: "registry.example NS", with: subnet, options: zero, counter: "NS fixed",
			answer: []string{"registry.example. 300 NS ns1.example.", "registry.example. 300 NS ns2.example."}},
		{name: "ANY", query: "registry.example ANY", with: subnet, options: zero, counter: "ANY fixed",
			answer: []string{`registry.example. 300 HINFO "RFC8482" ""`}},
		{name: "ANY of a replica", query: "westus.registry.example ANY", counter: "ANY fixed",
			answer: []string{`westus.registry.example. 300 HINFO "RFC8482" ""`}},
		{name: "ANY of whoami", query: "whoami.registry.example ANY", counter: "ANY fixed",
			answer: []string{`whoami.registry.example. 300 HINFO "RFC8482" ""`}},
		{name: "NODATA", query: "registry.example TXT", with: subnet, authority: []string{soa}, options: zero,
			counter: "TXT nodata"},
		{name: "NODATA of a type that we do not count", query: "registry.example MX", authority: []string{soa},
			counter: "other nodata"},
		{name: "DS belongs to the parent", query: "registry.example DS", authority: []string{soa},
			counter: "other nodata"},
		{name: "a replica", query: "westus.registry.example AAAA", with: subnet, options: zero, counter: "AAAA named",
			answer: []string{"westus.registry.example. 300 AAAA 2001:db8::10"}},
		{name: "a replica, up and down", query: "WestEurope.registry.example A", counter: "A named",
			answer: []string{"WestEurope.registry.example. 300 A 203.0.113.30",
				"WestEurope.registry.example. 300 A 203.0.113.31"}},
		{name: "a replica, unsteady", query: "westus.registry.example A", counter: "A named",
			fleet:  upstream("westus", router.Health{ChangeIn: time.Second}),
			answer: []string{"westus.registry.example. 300 A 203.0.113.10"}},
		{name: "a replica without the family", query: "eastus.registry.example AAAA", with: subnet, options: zero,
			authority: []string{soa}, counter: "AAAA nodata"},
		{name: "another type of a replica", query: "westus.registry.example TXT", authority: []string{soa},
			counter: "TXT nodata"},
		{name: "NXDOMAIN", query: "x.registry.example A", with: subnet, rcode: dns.RcodeNameError, options: zero,
			authority: []string{soa}, counter: "A nxdomain"},
		{name: "NXDOMAIN whatever the type", query: "x.registry.example ANY", rcode: dns.RcodeNameError,
			authority: []string{soa}, counter: "ANY nxdomain"},
		{name: "NXDOMAIN below a replica", query: "x.westus.registry.example A", rcode: dns.RcodeNameError,
			authority: []string{soa}, counter: "A nxdomain"},
		{name: "NXDOMAIN keeps the case", query: "X.Registry.example A", rcode: dns.RcodeNameError,
			authority: []string{"Registry" + soa[len("registry"):]}, counter: "A nxdomain"},
		{name: "other types of whoami", query: "whoami.registry.example A", with: subnet, options: zero,
			authority: []string{soa}, counter: "A nodata"},
	} {
		t.Run(x.name, x.run)
	}
}

func TestAnswerRefused(t *testing.T) {
	outside := []string{"ede 20"}
	for _, x := range []exchange{
		{name: "outside the zone", query: "example A", with: edns(1232), options: outside, counter: "A refused"},
		{name: "the root", query: ". NS", with: edns(1232), options: outside, counter: "NS refused"},
		{name: "without EDNS there is no extended error", query: "example A", counter: "A refused"},
		{name: "a name that ends in the same letters", query: "xregistry.example A", with: edns(1232), options: outside,
			counter: "A refused"},
		{name: "a label that has a dot in it", query: `x\.registry.example A`, with: edns(1232), options: outside,
			counter: "A refused"},
		{name: "class CH", query: "registry.example TXT CH", with: edns(1232), options: outside,
			counter: "TXT refused"},
		{name: "class ANY", query: "registry.example A ANY", with: edns(1232), options: outside, counter: "A refused"},
		{name: "the subnet is echoed", query: "example A", with: clientSubnet("10.1.2.0/24"),
			options: []string{"subnet 10.1.2.0/24/0", "ede 20"}, counter: "A refused"},
		{name: "AXFR", query: "registry.example AXFR", with: edns(1232), options: []string{"ede 21"},
			counter: "other refused"},
		{name: "IXFR", query: "registry.example IXFR", with: edns(1232), options: []string{"ede 21"},
			counter: "other refused"},
	} {
		x.rcode, x.notAA = dns.RcodeRefused, true
		t.Run(x.name, x.run)
	}
}

// A server without nameservers in its file.
func TestAnswerWithoutNameservers(t *testing.T) {
	s := serving(nil)
	s.Update(Settings{TTL: 1500 * time.Millisecond})
	got := unpack(t, s.Answer(wire(t, ask("registry.example NS")), netip.Addr{}, false))
	same(t, "answer", records(got.Answer), nil)
	same(t, "authority", records(got.Ns),
		[]string{"registry.example. 1 SOA registry.example. hostmaster.registry.example. 1 3600 600 86400 1"})
}

// An address and the absence of another family are for one and the same replica, wherever the client.
func TestBothFamiliesOneReplica(t *testing.T) {
	s := serving(nil)
	for _, from := range []string{"10.1.0.1", "10.2.0.1", "10.4.4.1", whoFrom} {
		var chosen []string
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			q := query{opcode: dns.OpcodeQuery, name: "registry.example.", wire: s.zone.Load().wire, qtype: qtype,
				qclass: dns.ClassINET}
			chosen = append(chosen, s.decide(&q, nil, netip.MustParseAddr(from)).replica)
		}
		if chosen[0] == "" || chosen[0] != chosen[1] {
			t.Errorf("from %s: A of %s, AAAA of %s", from, chosen[0], chosen[1])
		}
	}
}

// TestUpdate: settings count from the next query on, also for who asks meanwhile.
func TestUpdate(t *testing.T) {
	s := serving(nil)
	done, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for query := wire(t, ask("registry.example NS")); ; {
			select {
			case <-done:
				return
			default:
				if got := s.Answer(query, netip.Addr{}, false); got == nil {
					t.Error("a query was lost")
				}
			}
		}
	}()
	for i := range 1000 {
		s.Update(Settings{Nameservers: []string{fmt.Sprintf("ns%d.example", i)}, TTL: time.Duration(i) * time.Second})
	}
	close(done)
	<-asked
	got := unpack(t, s.Answer(wire(t, ask("registry.example NS")), netip.Addr{}, false))
	same(t, "answer", records(got.Answer), []string{"registry.example. 999 NS ns999.example."})
}
