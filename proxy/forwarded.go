package proxy

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// origin is what a trusted proxy says of the request that it got. Empty: it does not say.
type origin struct{ proto, host string }

// forwardedFor are the addresses that a request came by, the nearest hop's last. The zero Addr stands for a hop that is
// no address. X-Forwarded-For counts where it is there, Forwarded (RFC 7239) where it is not: most proxies write the
// former and pass on whatever a client has written into the latter.
func forwardedFor(h http.Header) (hops []netip.Addr) {
	if fields := h.Values("X-Forwarded-For"); len(fields) > 0 {
		for hop := range strings.SplitSeq(strings.Join(fields, ","), ",") {
			hops = append(hops, nodeAddr(unquoted(strings.TrimSpace(hop))))
		}
		return hops
	}
	for _, line := range h.Values("Forwarded") {
		elements, err := oci.List(line)
		if err != nil {
			hops = append(hops, netip.Addr{}) // what comes before it cannot be told from it
		}
		for _, e := range elements {
			node, _ := e.Value("for")
			hops = append(hops, nodeAddr(node))
		}
	}
	return hops
}

// nodeAddr is the address of a node: ADDRESS, ADDRESS:PORT, [ADDRESS] or [ADDRESS]:PORT, where the port may be an
// obfuscated one. The zero Addr for unknown, an obfuscated identifier and all else.
func nodeAddr(node string) netip.Addr {
	host, port, bracketed := node, "", strings.HasPrefix(node, "[")
	switch {
	case bracketed:
		host, port, bracketed = strings.Cut(node[1:], "]")
		if !bracketed || port != "" && port[0] != ':' {
			return netip.Addr{}
		}
		port = strings.TrimPrefix(port, ":")
	case strings.Count(node, ":") == 1:
		host, port, _ = strings.Cut(node, ":")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !isNodePort(port) || bracketed && addr.Is4() {
		return netip.Addr{}
	}
	return normalise(addr)
}

// isNodePort reports whether a node's port is digits, or an identifier that begins with an underscore (RFC 7239, 6).
func isNodePort(port string) bool {
	obfuscated, ok := strings.CutPrefix(port, "_")
	if ok {
		return obfuscated != "" && strings.IndexFunc(obfuscated,
			func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) < 0
	}
	return len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}

func unquoted(text string) string {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}

// forwardedBy is what the nearest proxy says; X-Forwarded-* come first here, too.
func forwardedBy(h http.Header) (o origin) {
	if lines := h.Values("Forwarded"); len(lines) > 0 && len(h.Values("X-Forwarded-For")) == 0 {
		if elements, err := oci.List(lines[len(lines)-1]); err == nil && len(elements) > 0 {
			last := elements[len(elements)-1]
			o.proto, _ = last.Value("proto")
			o.host, _ = last.Value("host")
		}
	}
	if proto := h.Get("X-Forwarded-Proto"); proto != "" {
		o.proto = proto
	}
	if host := h.Get("X-Forwarded-Host"); host != "" {
		o.host = host
	}
	return o
}
