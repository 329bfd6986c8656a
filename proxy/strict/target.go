package strict

import (
	"bytes"
	"net/netip"
)

// target judges a request's target (RFC 9112, 3.2). The authority is that of the absolute form, else nil.
func target(method, t []byte) (authority []byte, why *Refusal) {
	switch {
	case is(method, "connect"):
		return nil, errConnect
	case !all(inTarget, t):
		return nil, errCharacter
	case len(t) == 1 && t[0] == '*' && string(method) == "OPTIONS":
		return nil, nil
	}
	path := t
	if t[0] != '/' {
		if authority, path = absolute(t); authority == nil {
			return nil, errTarget
		}
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if !escaped(path) {
		return nil, errEscape
	}
	return authority, nil
}

// absolute parts a target in absolute form; nil, if it is none of ours.
func absolute(t []byte) (authority, path []byte) {
	i := bytes.IndexByte(t, ':')
	if i < 0 || !is(t[:i], "http") && !is(t[:i], "https") || !bytes.HasPrefix(t[i+1:], []byte("//")) {
		return nil, nil
	}
	rest := t[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:]
}

// escaped reports whether each percent sign has its two digits.
func escaped(path []byte) bool {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return true
		}
		if len(path) < i+3 || !all(inHex, path[i+1:i+3]) {
			return false
		}
		path = path[i+3:]
	}
}

// ValidPath reports whether this is a target that begins with a path, of characters that may be in one (RFC 9112,
// 3.2.1).
func ValidPath(target string) bool {
	return target != "" && target[0] == '/' && all(inTarget, target)
}

// ValidHost reports whether this is what a Host may be: a name or address, and perhaps a port (RFC 9110, 7.2). What
// RFC 3986 allows beyond that in names (percent-encoding, sub-delims) is in no host's.
func ValidHost[S string | []byte](h S) bool {
	if len(h) > 0 && h[0] == '[' {
		return validLiteral(string(h))
	}
	i := 0
	for i < len(h) && h[i] != ':' {
		i++
	}
	return i > 0 && all(inHost, h[:i]) && (i == len(h) || validPort(h[i+1:]))
}

// validLiteral is for an IPv6 address in brackets.
func validLiteral(h string) bool {
	for i := range len(h) {
		if h[i] == ']' {
			addr, err := netip.ParseAddr(h[1:i])
			rest := h[i+1:]
			return err == nil && addr.Is6() && addr.Zone() == "" && (rest == "" || rest[0] == ':' && validPort(rest[1:]))
		}
	}
	return false
}

// validPort takes an empty one, as RFC 3986 does.
func validPort[S string | []byte](p S) bool {
	if len(p) > 5 {
		return false
	}
	n := 0
	for i := range len(p) {
		if p[i] < '0' || p[i] > '9' {
			return false
		}
		n = n*10 + int(p[i]-'0')
	}
	return n < 1<<16
}
