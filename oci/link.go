// Package oci is the grammar that registries share, once for all who read by it: of names and digests, of header fields that
// have one of their own, and of the encodings of an answer's body.
package oci

import (
	"slices"
	"strings"
)

// Link is the target of the first link with a relation, of a Link field's lines (RFC 8288): a line may have several links, a link
// several relations.
func Link(lines []string, relation string) (target string, ok bool) {
	for _, rest := range lines {
		for rest != "" {
			var l link
			if l, rest = nextLink(rest); l.is(relation) {
				return l.target, true
			}
		}
	}
	return "", false
}

type link struct{ target, relations string }

func (l link) is(relation string) bool {
	return l.target != "" && slices.ContainsFunc(strings.Fields(l.relations), func(r string) bool { return strings.EqualFold(r, relation) })
}

// nextLink reads up to the comma that ends a link. What comes before "<" is skipped, and so is a parameter that makes no sense; of
// several rel the first counts (RFC 8288, "Relation Type").
func nextLink(line string) (l link, rest string) {
	_, line, ok := strings.Cut(line, "<")
	if !ok {
		return link{}, ""
	}
	l.target, line, ok = strings.Cut(line, ">")
	if !ok {
		return link{}, ""
	}
	known := false
	for {
		line = strings.TrimLeft(line, " \t;")
		if line == "" || line[0] == ',' {
			return l, strings.TrimPrefix(line, ",")
		}
		var name, value string
		name, value, line = parameter(line)
		if strings.EqualFold(name, "rel") && !known {
			l.relations, known = value, true
		}
	}
}

// parameter reads `name`, `name=value` or `name="value"`, and always something of a line that is not empty.
func parameter(line string) (name, value, rest string) {
	end := strings.IndexAny(line, "=;, \t")
	switch end {
	case -1:
		return line, "", ""
	case 0:
		return "", "", line[1:] // "=": no name
	}
	name, rest = line[:end], strings.TrimLeft(line[end:], " \t")
	if !strings.HasPrefix(rest, "=") {
		return name, "", rest
	}
	value, rest = valueOf(strings.TrimLeft(rest[1:], " \t"))
	return name, value, rest
}

// valueOf reads a token or a quoted string (RFC 9110, "Quoted Strings"); one that does not end is the rest of the line.
func valueOf(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ";, \t")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
