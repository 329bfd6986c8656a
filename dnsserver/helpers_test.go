package dnsserver

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/fairlead-gateway/fairlead/geo"
	"github.com/fairlead-gateway/fairlead/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	west   = geo.Point{Lat: 37.78, Lon: -122.42}
	east   = geo.Point{Lat: 37.37, Lon: -79.80}
	europe = geo.Point{Lat: 52.37, Lon: 4.90}
)

// world places the clients of these tests. What is not in it nobody can place.
var world = []struct {
	prefix string
	place  geo.Location
}{
	{"10.1.0.0/16", geo.Location{Point: west, Country: "US", Source: geo.SourceNetworks}},
	{"10.2.0.0/15", geo.Location{Point: east, Country: "US", Source: geo.SourceDatabase}},
	{"10.4.4.0/26", geo.Location{Point: europe, Country: "NL", Source: geo.SourceDatabase}},
	{"2001:db8:4::/46", geo.Location{Point: europe, Country: "NL", Source: geo.SourceCountry}},
}

func networks() *geo.Networks {
	var list []geo.Network
	for _, w := range world {
		list = append(list, geo.Network{Prefix: netip.MustParsePrefix(w.prefix), Point: w.place.Point,
			Country: w.place.Country})
	}
	return geo.NewNetworks(list)
}

func locate(addr netip.Addr) geo.Location {
	for _, w := range world {
		if netip.MustParsePrefix(w.prefix).Contains(addr) {
			return w.place
		}
	}
	return geo.Location{Source: geo.SourceNone}
}

var (
	up   = router.Health{Up: true}
	down = router.Health{}
)

func front(addr string, h router.Health) router.Front {
	return router.Front{Addr: netip.MustParseAddr(addr), Health: h}
}

// replicas of these tests: one with both families, one with IPv4 alone, one with a front down.
func replicas() []router.Replica {
	return []router.Replica{
		{Name: "westus", Point: west, Home: true, Operator: router.Online, Upstream: up,
			Fronts: []router.Front{front("203.0.113.10", up), front("2001:db8::10", up)}},
		{Name: "eastus", Point: east, Operator: router.Online, Upstream: up,
			Fronts: []router.Front{front("203.0.113.20", up)}},
		{Name: "westeurope", Point: europe, Operator: router.Online, Upstream: up,
			Fronts: []router.Front{front("203.0.113.30", down), front("203.0.113.31", up),
				front("2001:db8::30", down)}},
	}
}

type fixture struct {
	*Server
	reg *prometheus.Registry
}

// serving is a server for registry.example over the replicas of these tests, after a change to them.
func serving(change func([]router.Replica) []router.Replica) fixture {
	rs := replicas()
	if change != nil {
		rs = change(rs)
	}
	fleet := router.NewFleet(rs)
	placed := router.NewMap(rs, networks(), nil)
	reg := prometheus.NewRegistry()
	return fixture{reg: reg, Server: New(Config{
		Hostname:   "registry.example",
		Locate:     locate,
		Map:        func() *router.Map { return placed },
		Fleet:      func() *router.Fleet { return fleet },
		Registerer: reg,
		Log:        slog.New(slog.DiscardHandler),
	}, Settings{Nameservers: []string{"ns1.example", "ns2.example"}, TTL: 300 * time.Second})}
}

// counters are all counters that have moved, as "type reason" or "dropped why".
func (f fixture) counters(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, mf := range families {
		for _, m := range mf.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			name := labels["type"] + " " + labels["reason"]
			if w, ok := labels["why"]; ok {
				name = "dropped " + w
			}
			if v := m.GetCounter().GetValue(); v != 0 {
				out[name] = v
			}
		}
	}
	return out
}

func (f fixture) wantCounter(t *testing.T, name string) {
	t.Helper()
	if got, want := f.counters(t), map[string]float64{name: 1}; !maps.Equal(got, want) {
		t.Errorf("counters moved: %v, want %v", got, want)
	}
}

// ask is a query in words: "name TYPE [CLASS]".
func ask(words string) *dns.Msg {
	f := strings.Fields(words)
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(f[0]), dns.StringToType[f[1]])
	m.Id, m.RecursionDesired = 0xBEEF, false
	if len(f) > 2 {
		m.Question[0].Qclass = dns.StringToClass[f[2]]
	}
	return m
}

// edns adds an OPT record with raw options, given as "code:hex".
func edns(size uint16, options ...string) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, false)
		for _, o := range options {
			var code uint16
			var data string
			if n, _ := fmt.Sscanf(o+" ", "%d:%s", &code, &data); n < 1 {
				panic(o)
			}
			raw, err := hex.DecodeString(data)
			if err != nil {
				panic(err)
			}
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: code, Data: raw})
		}
	}
}

// clientSubnet adds a client subnet option.
func clientSubnet(prefix string) func(*dns.Msg) {
	p := netip.MustParsePrefix(prefix)
	family := 1
	if p.Addr().Is6() {
		family = 2
	}
	sent := p.Addr().AsSlice()[:(p.Bits()+7)/8]
	return edns(4096, fmt.Sprintf("8:%04x%02x00%x", family, p.Bits(), sent))
}

func wire(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("the reply does not parse: %v\n%x", err, b)
	}
	return m
}

// records are the records of a section as "owner TTL TYPE data".
func records(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(strings.Replace(rr.String(), "\tIN\t", "\t", 1)), " "))
	}
	return out
}

// optionsOf are the options of a reply: "subnet 10.1.0.0/16/16", "ede 20".
func optionsOf(m *dns.Msg) []string {
	var out []string
	if m.IsEdns0() == nil {
		return nil
	}
	for _, o := range m.IsEdns0().Option {
		switch o := o.(type) {
		case *dns.EDNS0_SUBNET:
			out = append(out, fmt.Sprintf("subnet %v/%d/%d", o.Address, o.SourceNetmask, o.SourceScope))
		case *dns.EDNS0_EDE:
			out = append(out, fmt.Sprintf("ede %d", o.InfoCode))
		default:
			out = append(out, fmt.Sprintf("option %d", o.Option()))
		}
	}
	return out
}
