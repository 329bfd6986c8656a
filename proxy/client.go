package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
)

// clientAddr is the address that a request counts as coming from. What proxies say is believed as far as the chain of
// trusted ones reaches, read from its end: what stands before the first address that is not trusted, a client may have
// written itself. The zero Addr if nothing can be read.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := addrOf(r.RemoteAddr)
	if !isTrusted(addr, trusted) {
		return addr
	}
	for _, hop := range slices.Backward(forwardedFor(r.Header)) {
		if !hop.IsValid() {
			break
		}
		addr = hop
		if !isTrusted(addr, trusted) {
			break
		}
	}
	return addr
}

// addrOf is the address in "host:port"; the zero Addr if there is none.
func addrOf(hostport string) netip.Addr {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return normalise(addr)
}

// normalise makes one address of one host, however it was written.
func normalise(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}
