package dnsserver

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/fairlead-gateway/fairlead/router"
)

// whoami tells the asker what was seen of it and why it is sent where it is: one TXT record, as
// strings of one record keep their order. Each string is key=value. It is different for every asker,
// so its TTL is 0 and its scope no wider than the prefix sent.
func (s *Server) whoami(q *query, fleet *router.Fleet, from netip.Addr) decision {
	addr := s.seen(q, from)
	loc := s.locate(addr)
	ranking := fleet.Rank(loc)
	chosen := router.ForDNS(ranking.Order(), addr, time.Now())
	used := netip.PrefixFrom(addr, addr.BitLen())
	if sent := q.subnet.addr(); sent.IsValid() && sent == addr {
		used = q.subnet.prefix
	}
	txt := []string{
		"client=" + from.String(),
		"subnet_sent=" + q.subnet.String(),
		"subnet_used=" + used.String(),
		"source=" + string(loc.Source),
	}
	if loc.Placed() {
		txt = append(txt,
			fmt.Sprintf("lat=%.4f", loc.Point.Lat),
			fmt.Sprintf("lon=%.4f", loc.Point.Lon),
			"country="+loc.Country)
	}
	txt = append(txt,
		"replica="+chosen.Replica.Name,
		"reason="+string(chosen.Reason))
	for _, r := range ranking {
		txt = append(txt, fmt.Sprintf("expected_ms.%s=%d", r.Name, r.ExpectedMS))
	}
	return decision{
		answer:  []dns.RR{&dns.TXT{Hdr: q.header(0), Txt: txt}},
		scope:   q.subnet.source(),
		reason:  reasonWhoami,
		replica: chosen.Replica.Name,
	}
}
