package dnsserver

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/router"
)

// whoamiLabel is the name below the hostname that tells the asker what was seen of it.
const whoamiLabel = "whoami"

// decision is what a query is answered with, and why.
type decision struct {
	rcode     int
	extended  uint16 // the extended error (RFC 8914); 0: none
	answer    []dns.RR
	authority []dns.RR
	inZone    bool // sets AA
	scope     int  // for the client subnet, if one was sent
	reason    router.Reason
	replica   string // whose addresses are in the answer, if any
}

// decide is docs/dns-answers.md, in its order. broken is what parse found wrong.
func (s *Server) decide(q *query, broken error, from netip.Addr) decision {
	switch {
	case q.opcode != dns.OpcodeQuery:
		return decision{rcode: dns.RcodeNotImplemented, reason: reasonNotImp}
	case broken != nil:
		return formErr()
	case q.opt == nil:
	case q.opt.version != 0:
		return decision{rcode: dns.RcodeBadVers, reason: reasonBadVers}
	default:
		sent, err := readSubnet(q.opt.options)
		if err != nil {
			return formErr()
		}
		q.subnet = sent
	}
	z := *s.zone.Load()
	labels, inZone := z.below(q.wire)
	switch {
	case !inZone || q.qclass != dns.ClassINET:
		return refused(dns.ExtendedErrorCodeNotAuthoritative)
	case q.qtype == dns.TypeAXFR || q.qtype == dns.TypeIXFR:
		return refused(dns.ExtendedErrorCodeNotSupported)
	}
	d := s.inZone(q, z, labels, from)
	d.inZone = true
	return d
}

func formErr() decision { return decision{rcode: dns.RcodeFormatError, reason: reasonFormErr} }

func refused(why uint16) decision {
	return decision{rcode: dns.RcodeRefused, extended: why, reason: reasonRefused}
}

// inZone answers by name. A replica that is called whoami is shadowed.
func (s *Server) inZone(q *query, z zone, labels []string, from netip.Addr) decision {
	fleet := s.returns.present(s.fleet)
	var replica *router.Replica
	if len(labels) == 1 {
		replica = fleet.Replica(labels[0])
	}
	switch whoami := slices.Equal(labels, []string{whoamiLabel}); {
	case len(labels) > 0 && replica == nil && !whoami:
		return z.nxDomain(q)
	case q.qtype == dns.TypeANY:
		return z.minimalANY(q)
	case whoami && q.qtype == dns.TypeTXT:
		return s.whoami(q, fleet, from)
	case whoami:
		return z.noData(q)
	case replica != nil:
		return z.named(q, replica)
	}
	return s.atApex(q, z, fleet, from)
}

func (s *Server) atApex(q *query, z zone, fleet *router.Fleet, from netip.Addr) decision {
	switch q.qtype {
	case dns.TypeA, dns.TypeAAAA:
		return z.nearest(q, fleet, s.choose(q, fleet, from))
	case dns.TypeSOA:
		return decision{answer: []dns.RR{z.soa(q, z.negativeTTL())}, reason: reasonFixed}
	case dns.TypeNS:
		if ns := z.ns(q); len(ns) > 0 {
			return decision{answer: ns, reason: reasonFixed}
		}
	}
	return z.noData(q)
}

// choice is which replica a client is sent to, and how far around it that holds.
type choice struct {
	scope  int  // for the client subnet
	alike  bool // it is the same everywhere, in both families
	chosen router.Answer
}

// choose chooses for where the client is.
func (s *Server) choose(q *query, fleet *router.Fleet, from netip.Addr) choice {
	m := s.worldMap()
	addr := s.seen(q, from)
	order, extent := m.Order(fleet, addr)
	v := choice{alike: m.Uniform(), chosen: router.ForDNS(order, addr, time.Now())}
	if within := v.chosen.Within; within.IsValid() {
		v.alike = false
		extent = narrower(extent, within)
	}
	v.scope = q.subnet.scope(extent)
	if sent := q.subnet.addr(); sent.IsValid() && sent != addr {
		_, extent = m.Order(fleet, sent)
		// Others that cannot be placed may ask by way of another resolver.
		v.scope = max(q.subnet.source(), q.subnet.scope(extent))
	}
	return v
}

// narrower is the longer one of two prefixes of one address.
func narrower(a, b netip.Prefix) netip.Prefix {
	if b.Bits() > a.Bits() {
		return b
	}
	return a
}

// seen is the address that counts: that of the client subnet, or the asking resolver's if none was sent, the client
// does not want it used (RFC 7871, section 7.1.2), or nobody can place it, while the resolver's can be placed.
func (s *Server) seen(q *query, from netip.Addr) netip.Addr {
	sent := q.subnet.addr()
	if sent.IsValid() && (s.locate(sent).Placed() || !s.locate(from).Placed()) {
		return sent
	}
	return from
}

// nearest answers with the chosen replica's addresses. The choice does not look at the type asked, so
// both families lead to one region.
func (z zone) nearest(q *query, fleet *router.Fleet, v choice) decision {
	d := decision{reason: v.chosen.Reason, replica: v.chosen.Replica.Name}
	if !v.alike && tailored(q, fleet) {
		d.scope = v.scope
	}
	ttl := z.ttlWithin(v.chosen.ChangeIn)
	d.answer = q.addresses(v.chosen.Replica, ttl, frontUp)
	if len(d.answer) == 0 {
		d.answer = q.addresses(v.chosen.Replica, ttl, anyFront)
	}
	if len(d.answer) == 0 {
		d.reason = reasonNoData
		ttl = min(ttl, z.negativeTTL())
		if tailored(q, fleet) {
			ttl = min(ttl, maxPartTTL)
		}
		d.authority = []dns.RR{z.soa(q, ttl)}
	}
	return d
}

// tailored reports whether clients elsewhere can get another answer: there is more than one replica,
// and one of them has an address of the family asked.
func tailored(q *query, fleet *router.Fleet) bool {
	all := fleet.Replicas()
	return len(all) > 1 && slices.ContainsFunc(all, func(r router.Replica) bool {
		return slices.ContainsFunc(r.Fronts, func(f router.Front) bool { return family(f.Addr) == q.qtype })
	})
}

// named answers for <replica>.<hostname>: who asks for one replica gets it, up or down.
func (z zone) named(q *query, r *router.Replica) decision {
	answer := q.addresses(r, z.ttl, anyFront)
	if len(answer) == 0 {
		return z.noData(q)
	}
	return decision{answer: answer, reason: router.Named, replica: r.Name}
}

// minimalANY is RFC 8482, section 4.2.
func (z zone) minimalANY(q *query) decision {
	h := q.header(z.ttl)
	h.Rrtype = dns.TypeHINFO
	return decision{answer: []dns.RR{&dns.HINFO{Hdr: h, Cpu: "RFC8482"}}, reason: reasonFixed}
}

func (z zone) noData(q *query) decision {
	return decision{authority: []dns.RR{z.soa(q, z.negativeTTL())}, reason: reasonNoData}
}

func (z zone) nxDomain(q *query) decision {
	d := z.noData(q)
	d.rcode, d.reason = dns.RcodeNameError, reasonNXDomain
	return d
}
