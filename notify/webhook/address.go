package webhook

import (
	"fmt"
	"net/netip"
	"slices"
)

// class is who an address belongs to.
type class int

const (
	never   class = iota // no receiver can be there
	private              // the operator's own network
	public
)

// metadata are services that hand credentials to whoever can reach them, at addresses that look like others.
var metadata = addresses("100.100.100.200", "168.63.129.16", "169.254.169.254", "fd00:ec2::254", "fd20:ce::254")

// special is IANA's registries of special purpose addresses; the first that holds an address counts. IPv6 outside
// 2000::/3 is not assigned to anybody.
var special = []struct {
	class
	prefixes []netip.Prefix
}{
	{private, prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128",
		"fc00::/7")},
	{never, prefixes("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3", "2001::/23", "2001:db8::/32", "3fff::/20")},
	{public, prefixes("0.0.0.0/0", "2000::/3")},
}

func classOf(a netip.Addr) class {
	a = inner(a)
	if slices.Contains(metadata, a) {
		return never
	}
	for _, s := range special {
		if slices.ContainsFunc(s.prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return s.class
		}
	}
	return never
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// inner is the IPv4 address that a packet to a ends at, where a is but a form of it.
func inner(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// refusedError is an address that nothing is sent to.
type refusedError struct{ addr netip.Addr }

func (e refusedError) Error() string { return fmt.Sprintf("nothing is sent to %s", e.addr) }

// checkAddress decides about an address that is about to be dialled.
func checkAddress(a netip.Addr, allowPrivate bool) error {
	switch classOf(a) {
	case public:
		return nil
	case private:
		if allowPrivate {
			return nil
		}
	}
	return refusedError{a}
}

func addresses(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
