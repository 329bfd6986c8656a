package dnsserver

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/miekg/dns"
)

// Address families of RFC 7871, section 6.
const (
	familyNone = 0 // what older versions of dig send for +subnet=0
	familyIPv4 = 1
	familyIPv6 = 2
)

var errSubnet = errors.New("client subnet option is malformed")

// subnet is a client subnet option as sent (RFC 7871, section 6).
type subnet struct {
	raw    []byte       // the option's data
	prefix netip.Prefix // of the family sent; not valid if no bit of the address was sent
}

// readSubnet finds the client subnet among EDNS options; nil if there is none.
func readSubnet(options []byte) (*subnet, error) {
	var found *subnet
	for len(options) > 0 {
		if len(options) < 4 {
			return nil, errOPT
		}
		code, end := binary.BigEndian.Uint16(options), 4+int(binary.BigEndian.Uint16(options[2:]))
		if len(options) < end {
			return nil, errOPT
		}
		if code == dns.EDNS0SUBNET {
			s, err := parseSubnet(options[4:end])
			if err != nil || found != nil {
				return nil, errSubnet
			}
			found = s
		}
		options = options[end:]
	}
	return found, nil
}

// parseSubnet takes exactly what RFC 7871 allows in a query: section 6 wants an address that is
// longer or shorter than its prefix, or has bits beyond it, refused; section 7.2.1 an unknown family.
func parseSubnet(data []byte) (*subnet, error) {
	if len(data) < 4 {
		return nil, errSubnet
	}
	family, source, scope, sent := binary.BigEndian.Uint16(data), int(data[2]), data[3], data[4:]
	var addr netip.Addr
	switch family {
	case familyNone:
	case familyIPv4:
		var padded [4]byte
		copy(padded[:], sent)
		addr = netip.AddrFrom4(padded)
	case familyIPv6:
		var padded [16]byte
		copy(padded[:], sent)
		addr = netip.AddrFrom16(padded)
	default:
		return nil, errSubnet
	}
	// A family without addresses has a length of 0, so only a prefix of 0 fits it.
	if scope != 0 || source > addr.BitLen() || len(sent) != (source+7)/8 {
		return nil, errSubnet
	}
	s := &subnet{raw: data}
	if source == 0 {
		return s, nil
	}
	s.prefix = netip.PrefixFrom(addr, source)
	if s.prefix.Masked() != s.prefix {
		return nil, errSubnet
	}
	return s, nil
}

// addr is the address to locate; not valid if the client does not want its own to be used.
func (s *subnet) addr() netip.Addr {
	if s == nil {
		return netip.Addr{}
	}
	return s.prefix.Addr().Unmap()
}

// source is the source prefix length.
func (s *subnet) source() int {
	if s == nil {
		return 0
	}
	return max(0, s.prefix.Bits())
}

// scope is the scope prefix length for an answer that is the same all over extent, which is around addr. It may be
// longer than the source: the prefix sent was then too short to choose by, and a resolver shares the answer
// no further than with askers of just that prefix (RFC 7871, sections 7.2.1 and 7.3.1).
func (s *subnet) scope(extent netip.Prefix) int {
	addr := s.addr()
	switch {
	case !addr.IsValid():
		return 0 // RFC 7871, section 7.2.1: nothing of the client's was used
	case addr != s.prefix.Addr():
		return extent.Bits() + 96 // IPv4 in ::ffff:0:0/96
	}
	// PowerDNS Recursor and dnsdist take a scope of 0 for every client of either family, and this
	// extent is all of one: the other may be placed differently.
	return max(1, extent.Bits())
}

// echo is the option to send back: family, source and address to the byte (RFC 7871, section 11.2:
// a resolver drops the answer otherwise).
func (s *subnet) echo(scope int) dns.EDNS0 {
	data := append([]byte(nil), s.raw...)
	data[3] = byte(scope)
	return &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: data}
}

// String is the prefix sent, "0" for the wish not to be located, or "none".
func (s *subnet) String() string {
	switch {
	case s == nil:
		return "none"
	case !s.prefix.IsValid():
		return "0"
	}
	return s.prefix.String()
}
