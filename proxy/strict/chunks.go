package strict

import "bytes"

// chunks is what has been read of a chunked body (RFC 9112, 7.1). The zero value has read nothing.
type chunks struct {
	at         int   // sizeLine and so on
	left       int64 // of the chunk's data
	extensions int   // bytes of all so far
}

// Where a chunked body has been read to.
const (
	sizeLine = iota
	chunkData
	chunkEnd
	trailers
	bodyEnd
)

// scan reads on in b, which begins where the last valid byte was. It returns how many bytes are valid. All of the body
// has been read when at is bodyEnd.
func (c *chunks) scan(b []byte) (valid int, why *Refusal) {
	for valid < len(b) && c.at != bodyEnd {
		n := 0
		switch rest := b[valid:]; c.at {
		case sizeLine:
			n, why = c.sizeLine(rest)
		case chunkData:
			n = int(min(c.left, int64(len(rest))))
			if c.left -= int64(n); c.left == 0 {
				c.at = chunkEnd
			}
		case chunkEnd:
			if n, why = crlf(rest); n > 0 {
				c.at = sizeLine
			}
		case trailers:
			if n, why = trailerSection(rest); n > 0 {
				c.at = bodyEnd
			}
		}
		if n == 0 || why != nil {
			return valid, why
		}
		valid += n
	}
	return valid, nil
}

// crlf is the length of a line's end; 0, if the second byte is still to come.
func crlf(b []byte) (n int, why *Refusal) {
	switch {
	case b[0] != '\r', len(b) > 1 && b[1] != '\n':
		return 0, errChunkEnd
	case len(b) == 1:
		return 0, nil
	}
	return 2, nil
}

// sizeLine judges a chunk's size and its extensions. A line that is not whole has no length.
func (c *chunks) sizeLine(b []byte) (length int, why *Refusal) {
	i := bytes.IndexByte(b[:min(len(b), maxChunkLine)], '\n')
	switch {
	case chars[b[0]]&inHex == 0:
		return 0, errChunkSize
	case i < 0 && len(b) >= maxChunkLine:
		return 0, errExtension
	case i < 0:
		return 0, nil
	case b[i-1] != '\r':
		return 0, errBareLF
	}
	line := b[:i-1]
	digits := 0
	var size uint64
	for digits < len(line) && chars[line[digits]]&inHex != 0 {
		if digits++; digits > maxSizeDigits {
			return 0, errChunkSize
		}
		size = size<<4 | hexDigit(line[digits-1])
	}
	if digits == 0 || size > maxChunk {
		return 0, errChunkSize
	}
	if c.extensions += len(line) - digits; c.extensions > maxExtensions {
		return 0, errExtensions
	}
	if why := extensions(line[digits:]); why != nil {
		return 0, why
	}
	c.left, c.at = int64(size), chunkData
	if size == 0 {
		c.at = trailers
	}
	return i + 1, nil
}

func hexDigit(c byte) uint64 {
	if c <= '9' {
		return uint64(c - '0')
	}
	return uint64(c|0x20-'a') + 10
}

// extensions judges what stands behind a chunk's size (RFC 9112, 7.1.1). White space is bad there, and refused.
func extensions(b []byte) *Refusal {
	for len(b) > 0 {
		if b[0] != ';' {
			return errChunkSize
		}
		name := prefix(inToken, b[1:])
		b = b[1+name:]
		if name == 0 {
			return errExtension
		}
		if len(b) == 0 || b[0] != '=' {
			continue
		}
		value := prefix(inToken, b[1:])
		if value == 0 {
			value = quoted(b[1:])
		}
		if value == 0 {
			return errExtension
		}
		b = b[1+value:]
	}
	return nil
}

// prefix is how many bytes at the beginning may stand in that.
func prefix(class uint8, b []byte) int {
	for i, c := range b {
		if chars[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// quoted is the length of the quoted string that b begins with; 0, if there is none.
func quoted(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch {
		case b[i] == '"':
			return i + 1
		case b[i] == '\\' && i+1 < len(b) && chars[b[i+1]]&inValue != 0:
			i++
		case chars[b[i]]&inQuoted == 0:
			return 0
		}
	}
	return 0
}

// trailerSection judges all behind the last chunk, up to the empty line. Without that it has no length.
func trailerSection(b []byte) (length int, why *Refusal) {
	for {
		i := bytes.IndexByte(b[length:], '\n')
		switch {
		case i < 0 && len(b) >= maxTrailers, i >= 0 && length+i >= maxTrailers:
			return 0, errTrailers
		case i < 0:
			return 0, nil
		case i == 0 || b[length+i-1] != '\r':
			return 0, errBareLF
		}
		line := b[length : length+i-1]
		length += i + 1
		if len(line) == 0 {
			return length, nil
		}
		name, _, why := splitField(line)
		if why != nil {
			return 0, why
		}
		if !mayTrail(name) {
			return 0, errTrailer
		}
	}
}

// notTrailing are fields that say how a message is framed, where it goes, who asks, and what its content is: who reads
// them behind the body has acted without (RFC 9110, 6.5.1).
var notTrailing = []string{
	"authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range",
	"content-type", "cookie", "expect", "forwarded", "host", "keep-alive", "max-forwards", "pragma",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "realm", "set-cookie", "te", "trailer",
	"transfer-encoding", "upgrade", "via", "www-authenticate",
}

func mayTrail(name []byte) bool {
	for _, forbidden := range notTrailing {
		if len(name) == len(forbidden) && isBehindCGI(name, forbidden) {
			return false
		}
	}
	return !hasPrefix(name, "if-") && !hasPrefix(name, "x-forwarded-")
}

// mayAnnounce is for the value of the field Trailer.
func mayAnnounce(names []byte) bool {
	for len(names) > 0 {
		i := bytes.IndexByte(names, ',')
		if i < 0 {
			i = len(names)
		}
		if !mayTrail(trim(names[:i])) {
			return false
		}
		names = names[min(i+1, len(names)):]
	}
	return true
}

func hasPrefix(name []byte, lower string) bool {
	return len(name) >= len(lower) && is(name[:len(lower)], lower)
}
