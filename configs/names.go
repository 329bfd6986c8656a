package configs

import (
	"net/netip"
	"regexp"
	"strings"
)

// maxName is the longest domain name in presentation form without the trailing dot (RFC 1035 section 3.1:
// 255 bytes on the wire, two of them the first length and the root).
const maxName = 253

// maxHostname leaves room for the longest name that is made of the hostname alone: the mailbox in its SOA record.
const maxHostname = maxName - len("hostmaster.")

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

// allowedHost takes a host, or all below one: .registry.internal.
func allowedHost(s string) (string, string) {
	below, dotted := strings.CutPrefix(s, ".")
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.String(), ""
	}
	name, rule := hostName(below)
	if dotted {
		name = "." + name
	}
	return name, rule
}

// zoneName takes the hostname, below which names are made.
func zoneName(s string) (string, string) {
	name, rule := fullHostName(s)
	if rule == "" && len(name) > maxHostname {
		return "", ruleHostnameRoom
	}
	return name, rule
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

// lowerCaseLabel takes a DNS label, which is to be written in one way only.
func lowerCaseLabel(s string) (string, string) {
	if !isLabel(s) || s != strings.ToLower(s) {
		return "", ruleName
	}
	return s, ""
}

// replicaName takes the label below the hostname that reaches a replica on purpose.
func replicaName(s string) (string, string) {
	if s == "whoami" {
		return "", ruleReserved
	}
	return lowerCaseLabel(s)
}

// storageName takes the name of a storage that replicas share; "" is a replica's own.
func storageName(s string) (string, string) {
	if s == "" {
		return "", ""
	}
	return lowerCaseLabel(s)
}

var repositories = regexp.MustCompile(`^([a-z0-9][a-z0-9._/-]{0,254})?\*?$`)

// repositoryPattern takes a repository's name, or the beginning of names with a * behind it.
func repositoryPattern(s string) (string, string) {
	if s == "" || !repositories.MatchString(s) {
		return "", ruleRepository
	}
	return s, ""
}

// atOrBelow reports whether name is zone or lies in it; both in lower case.
func atOrBelow(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// hostHeader takes what may stand in a Host header, or nothing.
func hostHeader(s string) (string, string) {
	if s == "" {
		return "", ""
	}
	host, port, hasPort := s, "", false
	if colon := strings.LastIndexByte(s, ':'); colon > strings.LastIndexByte(s, ']') {
		host, port, hasPort = s[:colon], s[colon+1:], true
	}
	if !isURIHost(host) {
		return "", ruleHost
	}
	if _, ok := portNumber(port); hasPort && !ok {
		return "", rulePort
	}
	return s, ""
}

// isURIHost holds for a host as RFC 3986 section 3.2.2 writes it: brackets around an IPv6 address and nowhere else,
// since a colon would begin the port. A zone means nothing to whoever reads it.
func isURIHost(s string) bool {
	if inner, bracketed := strings.CutPrefix(s, "["); bracketed {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return closed && err == nil && addr.Is6() && addr.Zone() == ""
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Is4()
	}
	_, rule := hostName(s)
	return rule == ""
}
