package accesslog

import (
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// cut stands where a text was cut.
const cut = "..."

// appendText appends a text of at most so many bytes, unless it is empty. All that is not printable ASCII is escaped:
// what a client sends can neither end the line nor steer a terminal that shows it.
func appendText(line []byte, key, text string, most int) []byte {
	if text == "" {
		return line
	}
	line = append(appendKey(line, key), '"')
	for begin, rest := len(line), text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		before := len(line)
		line = appendRune(line, r)
		if len(line)-begin > most {
			line = append(line[:before], cut...)
			break
		}
		rest = rest[size:]
	}
	return append(line, '"')
}

// appendRune appends a rune as it stands in a JSON string (RFC 8259, 7). Bytes that are no UTF-8 are U+FFFD.
func appendRune(line []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(line, '\\', byte(r))
	case ' ' <= r && r <= '~':
		return append(line, byte(r))
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return appendUnit(appendUnit(line, high), low)
	}
	return appendUnit(line, r)
}

func appendUnit(line []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(line, '\\', 'u',
		digits[unit>>12&0xf], digits[unit>>8&0xf], digits[unit>>4&0xf], digits[unit&0xf])
}

// harmless are the parameters that the line has. Any other may be a secret, such as the state of an upload, a token, or
// the signature of a URL: also its name, where somebody writes a token without one.
var harmless = []string{
	"n", "last", "digest", "mount", "from", "tag", "artifactType", // of the distribution spec
	"scope", "service", "offline_token", // of its token specification
}

// public is what of a query is no secret. "***" stands for all that is left out. A second question mark separates as
// well: some clients put their parameters behind one.
func public(query string) string {
	var shown []string
	hidden := false
	for parameter := range strings.FieldsFuncSeq(query, func(r rune) bool { return strings.ContainsRune("&;?", r) }) {
		name, _, _ := strings.Cut(parameter, "=")
		if slices.Contains(harmless, name) {
			shown = append(shown, parameter)
		} else {
			hidden = true
		}
	}
	if hidden {
		shown = append(shown, "***")
	}
	return strings.Join(shown, "&")
}
