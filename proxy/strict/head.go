package strict

import (
	"bytes"
	"math"
)

// head is what has been read of a request's head. The zero value has read nothing.
type head struct {
	pos  int // where the first line begins that was not judged
	seen int // up to where there is no line feed, from pos on

	begun     bool // the request line was judged
	old       bool // HTTP/1.0
	authority span // of a target in absolute form
	host      span
	hosts     int
	fields    int
	sized     bool
	length    int64 // of the body
	codings   int
}

// span is a part of what is scanned. None is empty.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// scan reads on in b, which holds the head from its beginning. It returns the head's length once it is whole.
func (h *head) scan(b []byte) (length int, why *Refusal) {
	if len(b) > 0 && chars[b[0]]&inToken == 0 {
		return 0, errMethod // a TLS handshake, for one, which need not have a line feed
	}
	for {
		from := max(h.pos, h.seen)
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			h.seen = len(b)
			if len(b) >= MaxHead {
				return 0, errTooLarge
			}
			return 0, nil
		}
		end := from + i // of the line, at its line feed
		if end >= MaxHead {
			return 0, errTooLarge
		}
		if end == h.pos || b[end-1] != '\r' {
			return 0, errBareLF
		}
		line := b[h.pos : end-1]
		switch {
		case !h.begun:
			why = h.requestLine(b, line)
		case len(line) == 0:
			return end + 1, h.complete(b)
		default:
			why = h.field(line)
		}
		if why != nil {
			return 0, why
		}
		h.pos = end + 1
	}
}

// requestLine judges the first line (RFC 9112, 3).
func (h *head) requestLine(b, line []byte) *Refusal {
	h.begun = true
	i, j := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if i <= 0 || !all(inToken, line[:i]) {
		return errMethod
	}
	if j <= i+1 {
		return errRequestLine
	}
	method, t, version := line[:i], line[i+1:j], line[j+1:]
	switch {
	case string(version) == "HTTP/1.1":
	case string(version) == "HTTP/1.0":
		h.old = true
	case isVersion(version):
		return errVersion
	default:
		return errRequestLine
	}
	authority, why := target(method, t)
	if authority != nil {
		from := i + 1 + bytes.Index(t, authority) // the line is where b begins
		if h.authority = (span{from, from + len(authority)}); !ValidHost(h.authority.of(b)) {
			return errHost
		}
	}
	return why
}

// isVersion reports whether this is HTTP of another version.
func isVersion(v []byte) bool {
	return len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' &&
		v[5] >= '0' && v[5] <= '9' && v[7] >= '0' && v[7] <= '9'
}

// splitField judges a field line, and returns its name and value (RFC 9112, 5).
func splitField(line []byte) (name, value []byte, why *Refusal) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, errFolded
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 || !all(inToken, line[:i]) {
		return nil, nil, errName
	}
	if !all(inValue, line[i+1:]) {
		return nil, nil, errValue
	}
	return line[:i], trim(line[i+1:]), nil
}

// field judges a line of the head that is not its first.
func (h *head) field(line []byte) *Refusal {
	name, value, why := splitField(line)
	if why != nil {
		return why
	}
	if h.fields++; h.fields > MaxFields {
		return errTooMany
	}
	switch len(name) {
	case len("host"):
		if is(name, "host") {
			h.hosts++
			from := h.pos + cap(line) - cap(value) // the value is cut out of the line, and that out of all
			h.host = span{from, from + len(value)}
		}
	case len("expect"):
		if is(name, "expect") && len(value) > 0 && !is(value, "100-continue") {
			return errExpect
		}
	case len("trailer"):
		if is(name, "trailer") && !mayAnnounce(value) {
			return errTrailer
		}
	case len("content-length"):
		switch {
		case is(name, "content-length"):
			return h.contentLength(value)
		case isBehindCGI(name, "content-length"):
			return errLookalike
		}
	case len("transfer-encoding"):
		switch {
		case is(name, "transfer-encoding"):
			return h.transferEncoding(value)
		case isBehindCGI(name, "transfer-encoding"):
			return errLookalike
		}
	}
	return nil
}

// isBehindCGI takes an underscore for a hyphen, as registries do that get their fields by CGI's rules (RFC 3875,
// 4.1.18).
func isBehindCGI(name []byte, lower string) bool {
	return is(bytes.ReplaceAll(name, []byte("_"), []byte("-")), lower)
}

// contentLength is RFC 9112, 6.3, without its leniencies.
func (h *head) contentLength(value []byte) *Refusal {
	if h.sized {
		return errLengths
	}
	h.sized = true
	if len(value) == 0 || len(value) > 19 {
		return errLength
	}
	var n uint64
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLength
		}
		n = n*10 + uint64(c-'0')
	}
	if n > math.MaxInt64 {
		return errLength
	}
	h.length = int64(n)
	return nil
}

func (h *head) transferEncoding(value []byte) *Refusal {
	switch h.codings++; {
	case h.codings > 1:
		return errCodings
	case !is(value, "chunked"):
		return errCoding
	}
	return nil
}

// complete judges what only the whole head shows.
func (h *head) complete(b []byte) *Refusal {
	host := h.host.of(b)
	switch {
	case h.hosts > 1:
		return errHosts
	case h.codings > 0 && h.sized:
		return errFraming
	case h.codings > 0 && h.old:
		return errOldCoding
	case len(host) == 0 && !h.old: // checks of balancers speak 1.0, and name none
		return errNoHost
	case len(host) > 0 && !ValidHost(host):
		return errHost
	case h.authority != span{} && !same(h.authority.of(b), host):
		return errAuthority
	}
	return nil
}
