package configs

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a node is, in the words of somebody who writes YAML.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "a value of another type"
}

// parsed takes text that parse turns into a value; parse returns the rule that the text breaks, or "".
func parsed[T any](d *decoder, to *T, parse func(string) (T, string)) field {
	return func(path string, n *yaml.Node) {
		s, ok := d.text(path, n)
		if !ok {
			return
		}
		v, rule := parse(s)
		if rule != "" {
			d.refuse(path, rule)
			return
		}
		*to = v
	}
}

// listOf takes a list of such texts. An item that cannot be taken keeps its place, so that indexes are those of
// the file.
func listOf[T any](d *decoder, to *[]T, parse func(string) (T, string)) field {
	return d.list(
		func(count int) { *to = make([]T, 0, count) },
		func(path string, n *yaml.Node) {
			var v T
			parsed(d, &v, parse)(path, n)
			*to = append(*to, v)
		})
}

// oneOrMore is one text or a list; an empty text is none, and not of a list.
func (d *decoder) oneOrMore(to *[]string, parse func(string) (string, string)) field {
	return func(path string, n *yaml.Node) {
		if n.Kind == yaml.SequenceNode {
			listOf(d, to, func(s string) (string, string) {
				if s == "" {
					return "", "must not be empty in a list"
				}
				return parse(s)
			})(path, n)
			return
		}
		var one string
		if parsed(d, &one, parse)(path, n); one != "" {
			*to = []string{one}
		}
	}
}

// text is strict: 1.20 or 007 would not come back as they were written.
func (d *decoder) text(path string, n *yaml.Node) (string, bool) {
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		return n.Value, true
	case n.Kind == yaml.ScalarNode && !isNull(n):
		d.refuse(path, fmt.Sprintf(ruleQuote, describe(n)))
	default:
		d.refuse(path, fmt.Sprintf(ruleKind, "text", describe(n)))
	}
	return "", false
}

func (d *decoder) flag(to *bool) field {
	return func(path string, n *yaml.Node) {
		if n.ShortTag() != "!!bool" || n.Decode(to) != nil {
			d.refuse(path, fmt.Sprintf(ruleKind, "true or false", describe(n)))
		}
	}
}

// number takes a number for which valid holds; NaN reaches valid and compares false with everything.
func (d *decoder) number(to *float64, valid func(float64) bool, rule string) field {
	return func(path string, n *yaml.Node) {
		var v float64
		tag := n.ShortTag()
		switch {
		case tag != "!!int" && tag != "!!float", n.Decode(&v) != nil:
			d.refuse(path, fmt.Sprintf(ruleKind, "a number", describe(n)))
		case !valid(v):
			d.refuse(path, rule)
		default:
			*to = v
		}
	}
}

// whole takes a whole number from least to most, both included.
func whole[T int | int64](d *decoder, to *T, least, most T) field {
	return func(path string, n *yaml.Node) {
		var v T
		switch {
		case n.ShortTag() != "!!int":
			d.refuse(path, fmt.Sprintf(ruleKind, "a whole number", describe(n)))
		case n.Decode(&v) != nil, v < least, v > most:
			d.refuse(path, fmt.Sprintf(ruleRange, strconv.FormatInt(int64(least), 10), strconv.FormatInt(int64(most), 10)))
		default:
			*to = v
		}
	}
}

// duration takes a time from least to most, both included. A bare number is refused: some tools mean seconds by
// it and others milliseconds.
func (d *decoder) duration(to *time.Duration, least, most time.Duration) field {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			d.refuse(path, fmt.Sprintf(ruleKind, "a duration", describe(n)))
			return
		}
		v, err := time.ParseDuration(n.Value)
		switch tag := n.ShortTag(); {
		case err != nil, tag == "!!int", tag == "!!float":
			d.refuse(path, ruleUnit)
		case v < least || v > most:
			d.refuse(path, fmt.Sprintf(ruleRange, brief(least), brief(most)))
		default:
			*to = v
		}
	}
}
