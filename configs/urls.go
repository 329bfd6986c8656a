package configs

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// urlPath takes an absolute path that is written in one way only, so that comparing it byte by byte is enough.
func urlPath(s string) (string, string) {
	const others = "-._~!$&'()*+,;=:@/" // pchar of RFC 3986 without percent-encoding
	for _, b := range []byte(s) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
			strings.IndexByte(others, b) >= 0) {
			return "", rulePath
		}
	}
	if clean := path.Clean(s); !strings.HasPrefix(s, "/") || s != clean && s != clean+"/" {
		return "", rulePath
	}
	return s, ""
}

// proxyPath takes a path that is passed on beside /v2/, or, ending in /*, all paths below one.
func proxyPath(s string) (string, string) {
	s, rule := urlPath(s)
	above, _ := strings.CutSuffix(s, "/*")
	switch {
	case rule != "":
		return "", rule
	case above == "" || strings.Contains(above, "*"):
		return "", rulePathPrefix
	case above == "/v2" || strings.HasPrefix(s, "/v2/"):
		return "", rulePathV2
	case strings.HasSuffix(s, "/"):
		return "", rulePathEnds
	}
	return s, ""
}

// upstream takes the URL of a registry. Clients name paths from the root and sign in themselves, so nothing but
// scheme, host and port can be in it.
func upstream(s string) (*url.URL, string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, ruleUpstream
	}
	if u.User != nil {
		return nil, ruleUserinfo
	}
	if u.Path != "" && u.Path != "/" || strings.ContainsAny(s, "?#") {
		return nil, ruleBare
	}
	host, rule := upstreamHost(u)
	if rule != "" {
		return nil, rule
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, ""
}

// upstreamHost is the host of u, and its port unless it is the scheme's own.
func upstreamHost(u *url.URL) (string, string) {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", ruleZone
		}
		if !isUnicast(addr.Unmap()) {
			return "", ruleUnicast
		}
		host = addr.Unmap().String()
	} else {
		var rule string
		if host, rule = hostName(host); rule != "" || endsInNumber(host) {
			return "", ruleUpstream
		}
	}
	if u.Port() == "" && !strings.HasSuffix(u.Host, ":") {
		return bracketed(host), ""
	}
	n, ok := portNumber(u.Port())
	if !ok {
		return "", rulePort
	}
	if port := strconv.Itoa(int(n)); port != defaultPort(u.Scheme) {
		return net.JoinHostPort(host, port), ""
	}
	return bracketed(host), ""
}

// bracketed is a host as it stands in a URL without a port.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// endpoint is where connections to u go: two URLs with one endpoint are one registry.
func endpoint(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return net.JoinHostPort(u.Hostname(), port)
}
