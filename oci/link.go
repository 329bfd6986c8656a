// Package oci is the grammar that registries share, once for all who read by it: of names and digests, of header fields
// that have one of their own, and of the encodings of an answer's body.
package oci

import "strings"

// Link returns the target of the first link with a relation, from the lines of a Link field (RFC 8288). A line may have
// several links, a link several relations. Unlike List it reads what it can: whoever follows a link checks where it
// leads.
func Link(lines []string, relation string) (target string, ok bool) {
	for _, rest := range lines {
		for rest != "" {
			var link Element
			if link, rest = nextLink(rest); link.Target != "" && link.Rel(relation) {
				return link.Target, true
			}
		}
	}
	return "", false
}

// nextLink reads up to the comma that ends a link. What comes before "<" is skipped, and so is a parameter that makes
// no sense.
func nextLink(line string) (link Element, rest string) {
	_, line, ok := strings.Cut(line, "<")
	if !ok {
		return Element{}, ""
	}
	link.Target, line, ok = strings.Cut(line, ">")
	if !ok {
		return Element{}, ""
	}
	for {
		line = strings.TrimLeft(line, " \t;")
		if line == "" || line[0] == ',' {
			return link, strings.TrimPrefix(line, ",")
		}
		var p Parameter
		p, line = parameter(line)
		link.Parameters = append(link.Parameters, p)
	}
}

// parameter reads `name`, `name=value` or `name="value"`, and always something of a line that is not empty.
func parameter(line string) (p Parameter, rest string) {
	end := strings.IndexAny(line, "=;, \t")
	switch end {
	case -1:
		return Parameter{Name: strings.ToLower(line)}, ""
	case 0:
		return Parameter{}, line[1:] // "=": no name
	}
	p.Name, rest = strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t")
	if after, ok := strings.CutPrefix(rest, "="); ok {
		p.Value, rest = valueOf(strings.TrimLeft(after, " \t"))
	}
	return p, rest
}

// valueOf reads a token or a quoted string. A quoted string without its end is the rest of the line.
func valueOf(text string) (value, rest string) {
	value, rest, _ = valueIn(text)
	return value, rest
}

// valueIn reports also whether quotes that begin the value end.
func valueIn(text string) (value, rest string, ended bool) {
	if after, ok := strings.CutPrefix(text, `"`); ok {
		return quoted(after)
	}
	end := strings.IndexAny(text, ";, \t")
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:], true
}
