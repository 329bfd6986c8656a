package configs

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listenAddress takes host:port. A host name is refused: what it resolves to can change between two starts.
func listenAddress(s string) (string, string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", ruleListen
	}
	n, ok := portNumber(port)
	if !ok {
		return "", rulePort
	}
	if host != "" {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return "", ruleListen
		}
		host = addr.Unmap().String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(n))), ""
}

func adminAddress(s string) (string, string) {
	address, rule := listenAddress(s)
	if rule != "" {
		return "", rule
	}
	if host, _ := hostPort(address); !host.IsLoopback() {
		return "", ruleLoopback
	}
	return address, ""
}

// portNumber refuses port 0: DNS and health have to know the port, and nobody could find one chosen at random.
func portNumber(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}

// hostPort splits what listenAddress accepted; no host is the unspecified IPv6 address, which is what the net
// package listens on for either.
func hostPort(address string) (netip.Addr, string) {
	host, port, _ := net.SplitHostPort(address)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addr = netip.IPv6Unspecified()
	}
	return addr, port
}

// frontAddress takes an address that DNS hands out.
func frontAddress(s string) (netip.Addr, string) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, ruleAddress
	}
	if addr.Zone() != "" {
		return netip.Addr{}, ruleZone
	}
	addr = addr.Unmap()
	if !isUnicast(addr) {
		return netip.Addr{}, ruleUnicast
	}
	return addr, ""
}

func isUnicast(addr netip.Addr) bool {
	return !addr.IsUnspecified() && !addr.IsMulticast() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// prefix takes a prefix or a single address, unmapped. Bits beyond the length are refused: 10.20.30.0/16 is a
// typing error as often as it means 10.20.0.0/16.
func prefix(s string) (netip.Prefix, string) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, rulePrefix
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, rulePrefix
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Sprintf(ruleHostBits, p.Masked())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, ""
}
