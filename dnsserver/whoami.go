package dnsserver

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// whoamiText tells the asker what was seen of it and why it is sent where it is: one TXT record, as
// strings of one record keep their order. Each string is key=value. It is different for every asker,
// so its TTL is 0 and its scope no wider than the prefix sent.
func whoamiText(q *query, from netip.Addr, v view) decision {
	used := netip.PrefixFrom(v.addr, v.addr.BitLen())
	if q.subnet.addr().IsValid() {
		used = q.subnet.prefix
	}
	txt := []string{
		"client=" + from.String(),
		"subnet_sent=" + q.subnet.String(),
		"subnet_used=" + used.String(),
		"source=" + string(v.loc.Source),
	}
	if v.loc.Placed() {
		txt = append(txt,
			fmt.Sprintf("lat=%.4f", v.loc.Point.Lat),
			fmt.Sprintf("lon=%.4f", v.loc.Point.Lon),
			"country="+v.loc.Country)
	}
	txt = append(txt,
		"replica="+v.chosen.Replica.Name,
		"reason="+string(v.chosen.Reason))
	for _, r := range v.order {
		txt = append(txt, fmt.Sprintf("expected_ms.%s=%d", r.Name, r.ExpectedMS))
	}
	return decision{
		answer:  []dns.RR{&dns.TXT{Hdr: q.header(0), Txt: txt}},
		scope:   q.subnet.source(),
		reason:  reasonWhoami,
		replica: v.chosen.Replica.Name,
	}
}
