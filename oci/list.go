package oci

import (
	"errors"
	"strings"
)

// Element is one member of a field that is a list (RFC 9110, 5.6.1) of what has parameters: a link of RFC 8288, a hop
// of RFC 7239.
type Element struct {
	Target     string // what stands between < and >, before the parameters
	Text       string // the parameters as they came
	Parameters []Parameter
}

// Parameter has its name in lower case, and its value without quotes.
type Parameter struct{ Name, Value string }

// ErrList means that a field cannot be parsed: nothing in it can be told from what stands within quotes.
var ErrList = errors.New("not a list of parameters")

// List parses one line of a field: `<URL>; rel="next", for=192.0.2.1;proto=https`. A comma or semicolon within quotes
// or within < and > separates nothing. Unlike Link it reads a line exactly or not at all: what is rewritten, or
// believed, must not be guessed.
func List(line string) (all []Element, err error) {
	s := scanner{line}
	for {
		s.skip(" \t,")
		if s.rest == "" {
			return all, nil
		}
		e, ok := s.element()
		if !ok {
			return nil, ErrList
		}
		all = append(all, e)
	}
}

// Value returns the value of the first parameter of this name. Later ones do not count (RFC 8288, 3.3).
func (e Element) Value(name string) (value string, ok bool) {
	for _, p := range e.Parameters {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Rel reports whether a link has a relation type: one parameter may list several, and case does not count.
func (e Element) Rel(relation string) bool {
	value, _ := e.Value("rel")
	for one := range strings.FieldsSeq(value) {
		if strings.EqualFold(one, relation) {
			return true
		}
	}
	return false
}

type scanner struct{ rest string }

func (s *scanner) skip(chars string) { s.rest = strings.TrimLeft(s.rest, chars) }

// at reports whether c comes next, after blanks, and takes it.
func (s *scanner) at(c byte) bool {
	s.skip(" \t")
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// until takes all before the first of these.
func (s *scanner) until(chars string) string {
	end := strings.IndexAny(s.rest, chars)
	if end < 0 {
		end = len(s.rest)
	}
	taken := s.rest[:end]
	s.rest = s.rest[end:]
	return taken
}

func (s *scanner) element() (e Element, ok bool) {
	if s.at('<') {
		if e.Target = s.until(">"); !s.at('>') {
			return e, false
		}
		s.skip(" \t")
		if s.rest != "" && s.rest[0] != ',' && s.rest[0] != ';' {
			return e, false
		}
	}
	before := s.rest
	for {
		for s.at(';') {
		}
		if s.rest == "" || s.rest[0] == ',' {
			e.Text = strings.TrimRight(before[:len(before)-len(s.rest)], " \t")
			return e, true
		}
		p, ok := s.parameter()
		if !ok {
			return e, false
		}
		e.Parameters = append(e.Parameters, p)
	}
}

// parameter takes what ends before a semicolon, a comma or the end. Without a value it is its name alone.
func (s *scanner) parameter() (p Parameter, ok bool) {
	p.Name = strings.ToLower(s.until(" \t=;,\"<>"))
	if p.Name == "" {
		return p, false
	}
	if s.at('=') {
		if p.Value, ok = s.value(); !ok {
			return p, false
		}
	}
	s.skip(" \t")
	return p, s.rest == "" || s.rest[0] == ';' || s.rest[0] == ','
}

func (s *scanner) value() (string, bool) {
	if !s.at('"') {
		return s.until(" \t;,\""), true
	}
	value, rest, ended := quoted(s.rest)
	s.rest = rest
	return value, ended
}

// quoted reads a quoted string from behind its opening quote (RFC 9110, 5.6.4).
func quoted(text string) (value, rest string, ended bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", false
}
