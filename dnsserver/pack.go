package dnsserver

import "github.com/miekg/dns"

const (
	// udpSize is the longest reply over UDP, in bytes: it passes every path of IPv6's least MTU unfragmented
	// (DNS flag day 2020). What is longer goes over TCP.
	udpSize = 1232
	// plainUDPSize is the longest reply over UDP to a client without EDNS, in bytes (RFC 1035, section
	// 4.2.1), and the least that a client with EDNS can ask for (RFC 6891, section 6.2.3).
	plainUDPSize = dns.MinMsgSize
)

// limit is the longest reply, in bytes.
func limit(o *opt, overTCP bool) int {
	switch {
	case overTCP:
		return dns.MaxMsgSize
	case o == nil:
		return plainUDPSize
	}
	return min(max(int(o.udpSize), plainUDPSize), udpSize)
}

// pack writes the reply. What does not fit within limit is left out and TC set.
func pack(q *query, d decision, limit int) ([]byte, error) {
	m := dns.Msg{
		MsgHdr: dns.MsgHdr{
			Id:               q.id,
			Response:         true,
			Opcode:           q.opcode,
			Authoritative:    d.inZone,
			RecursionDesired: q.rd && q.opcode == dns.OpcodeQuery, // the bit means nothing elsewhere
			Rcode:            d.rcode,
		},
		Answer: d.answer,
		Ns:     d.authority,
	}
	if q.name != "" {
		m.Question = []dns.Question{{Name: q.name, Qtype: q.qtype, Qclass: q.qclass}}
	}
	if q.opt != nil {
		// Every reply to EDNS has it, errors too: a resolver takes a FORMERR without it for a server
		// that does not know EDNS, and sends no client subnet any more (RFC 6891, section 7).
		m.Extra = []dns.RR{optFor(q, d)}
	}
	m.Truncate(limit)
	m.Compress = true // Truncate turns it off for what is short anyway
	return m.Pack()
}

func optFor(q *query, d decision) *dns.OPT {
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(udpSize)
	if q.opt.do {
		o.SetDo() // RFC 3225, section 3
	}
	if q.subnet != nil {
		o.Option = append(o.Option, q.subnet.echo(d.scope))
	}
	if d.extended != 0 {
		o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: d.extended})
	}
	return o
}
