package dnsserver

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/router"
)

// maxNegativeTTL bounds how long a name or an address family stays absent for clients after it was
// added to the file, in seconds.
const maxNegativeTTL = 60

// maxPartTTL bounds how long a family stays absent that other replicas have, in seconds: resolvers keep that nothing
// is there for all their clients, wherever those are (RFC 7871, section 7.4).
const maxPartTTL = 5

// zone is what is the same for every query.
type zone struct {
	wire        []byte   // the hostname's wire form, in lower case
	hostname    string   // with a trailing dot
	nameservers []string // with trailing dots
	ttl         uint32   // seconds
}

func newZone(hostname string, nameservers []string, ttl time.Duration) zone {
	z := zone{
		hostname: dns.Fqdn(strings.ToLower(hostname)),
		ttl:      uint32(max(1, ttl/time.Second)),
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(z.hostname, "."), ".") {
		z.wire = append(append(z.wire, byte(len(label))), label...)
	}
	z.wire = append(z.wire, 0)
	for _, ns := range nameservers {
		z.nameservers = append(z.nameservers, dns.Fqdn(ns))
	}
	return z
}

// below gives the labels of a name that stand before the hostname; false if it is not in the zone.
// It compares labels and not text: the one label "x.registry" is not in registry.example.
func (z zone) below(wire []byte) ([]string, bool) {
	var labels []string
	for len(wire) > len(z.wire) {
		end := 1 + int(wire[0])
		labels = append(labels, string(wire[1:end]))
		wire = wire[end:]
	}
	return labels, bytes.Equal(wire, z.wire)
}

// negativeTTL is the TTL of NXDOMAIN and NODATA, in seconds: that of the SOA record and its MINIMUM
// alike, since a resolver takes the lesser (RFC 2308, section 5).
func (z zone) negativeTTL() uint32 { return min(z.ttl, maxNegativeTTL) }

// ttlWithin is the TTL of an answer that can change after that time; 0: it is steady. The TTL is never
// 0: docker looks the name up for each of its connections, and a TTL of 0 makes dozens of queries of
// one push, each of which may then be answered differently from the one before.
func (z zone) ttlWithin(changeIn time.Duration) uint32 {
	if changeIn <= 0 {
		return z.ttl
	}
	seconds := (changeIn + time.Second - 1) / time.Second
	return uint32(min(time.Duration(z.ttl), seconds))
}

// apex is the hostname in the case of the query: who checks the case of a reply checks it everywhere,
// and names that are alike compress to one.
func (z zone) apex(q *query) string { return q.name[len(q.name)-len(z.hostname):] }

// soa makes the SOA record of a zone that is never transferred: the serial does not move, and the timers of secondaries
// are for show.
func (z zone) soa(q *query, ttl uint32) dns.RR {
	mname := z.hostname
	if len(z.nameservers) > 0 {
		mname = z.nameservers[0]
	}
	return &dns.SOA{
		Hdr:     dns.RR_Header{Name: z.apex(q), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:      mname,
		Mbox:    "hostmaster." + z.hostname,
		Serial:  1,
		Refresh: 3600,
		Retry:   600,
		Expire:  86400,
		Minttl:  ttl,
	}
}

func (z zone) ns(q *query) []dns.RR {
	var out []dns.RR
	for _, name := range z.nameservers {
		out = append(out, &dns.NS{Hdr: q.header(z.ttl), Ns: name})
	}
	return out
}

// header is that of an answer's record.
func (q *query) header(ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: q.name, Rrtype: q.qtype, Class: dns.ClassINET, Ttl: ttl}
}

// addresses are the records of the asked family for those fronts that fit.
func (q *query) addresses(r *router.Replica, ttl uint32, fits func(router.Front) bool) []dns.RR {
	var out []dns.RR
	for _, f := range r.Fronts {
		if family(f.Addr) == q.qtype && fits(f) {
			out = append(out, q.address(f.Addr, ttl))
		}
	}
	return out
}

func (q *query) address(addr netip.Addr, ttl uint32) dns.RR {
	ip := addr.Unmap().AsSlice()
	if q.qtype == dns.TypeA {
		return &dns.A{Hdr: q.header(ttl), A: ip}
	}
	return &dns.AAAA{Hdr: q.header(ttl), AAAA: ip}
}

// family is the type of record that an address goes into.
func family(addr netip.Addr) uint16 {
	if addr.Unmap().Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

func anyFront(router.Front) bool  { return true }
func frontUp(f router.Front) bool { return f.Health.Up }
