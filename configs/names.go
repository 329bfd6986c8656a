package configs

import (
	"net"
	"net/netip"
	"strings"
)

// maxName is the longest domain name in presentation form without the trailing dot (RFC 1035 section 3.1:
// 255 bytes on the wire, two of them the first length and the root).
const maxName = 253

// hostName takes a name after RFC 1123 section 2.1 and returns it in lower case, without a trailing dot.
func hostName(s string) (string, string) {
	s = strings.TrimSuffix(s, ".")
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ruleHostnameIsIP
	}
	if len(s) > maxName {
		return "", ruleHostname
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return "", ruleHostname
		}
	}
	return strings.ToLower(s), ""
}

// fullHostName takes a host name that means the same everywhere. A last label of digits is refused because
// resolvers and URL parsers take such a name for an IPv4 address.
func fullHostName(s string) (string, string) {
	name, rule := hostName(s)
	if rule != "" {
		return "", rule
	}
	if !strings.Contains(name, ".") || endsInNumber(name) {
		return "", ruleFullHostname
	}
	return name, ""
}

// endsInNumber reports whether the last label is all digits.
func endsInNumber(name string) bool {
	return strings.Trim(name[strings.LastIndexByte(name, '.')+1:], "0123456789") == ""
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, b := range []byte(s) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-') {
			return false
		}
	}
	return true
}

// replicaName takes the label below the hostname that reaches a replica on purpose.
func replicaName(s string) (string, string) {
	switch {
	case !isLabel(s) || s != strings.ToLower(s):
		return "", ruleName
	case s == "whoami":
		return "", ruleReserved
	}
	return s, ""
}

// atOrBelow reports whether name is zone or lies in it; both in lower case.
func atOrBelow(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// hostHeader takes what may stand in a Host header, or nothing.
func hostHeader(s string) (string, string) {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		if _, ok := portNumber(port); !ok {
			return "", rulePort
		}
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || s == "" {
		return s, ""
	}
	if _, rule := hostName(host); rule != "" {
		return "", ruleHost
	}
	return s, ""
}

func anyText(s string) (string, string) { return s, "" }
