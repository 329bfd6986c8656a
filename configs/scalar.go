package configs

import (
	"fmt"
	"reflect"
	"time"

	"go.yaml.in/yaml/v4"
)

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func isEmptyMapping(n *yaml.Node) bool { return n.Kind == yaml.MappingNode && len(n.Content) == 0 }

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

// taker takes a value into what to points to, or refuses it.
type taker func(d *decoder, path string, n *yaml.Node, to any)

// text takes text that parse turns into a value; parse returns the rule that the text breaks, or "".
func text[T any](parse func(string) (T, string)) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		switch {
		case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
			v, rule := parse(n.Value)
			if rule != "" {
				d.refuse(path, rule)
				return
			}
			*to.(*T) = v
		case n.Kind == yaml.ScalarNode && !isNull(n): // 1.20 or 007 would not come back as they were written
			d.refuse(path, fmt.Sprintf(ruleQuote, describe(n)))
		default:
			d.refuse(path, fmt.Sprintf(ruleKind, "text", describe(n)))
		}
	}
}

func anyText(s string) (string, string) { return s, "" }

// beside takes the name of a file or folder, relative to the folder of the configuration.
func beside(parse func(d *decoder, name string) (string, string)) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		text(func(s string) (string, string) { return parse(d, s) })(d, path, n, to)
	}
}

// unshown takes a value that no problem may repeat.
func unshown(take taker) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		d.hide(path)
		take(d, path, n, to)
	}
}

// hide forgets how a field was written.
func (d *decoder) hide(path string) {
	w := d.written[path]
	w.value = ""
	d.written[path] = w
}

// passes takes text that has to pass a check.
func passes(check func(string) error, rule string) taker {
	return text(func(s string) (string, string) {
		if check(s) != nil {
			return "", rule
		}
		return s, ""
	})
}

func (d *decoder) flag(path string, n *yaml.Node, to reflect.Value) {
	if n.ShortTag() != "!!bool" || n.Decode(to.Addr().Interface()) != nil {
		d.refuse(path, fmt.Sprintf(ruleKind, "true or false", describe(n)))
	}
}

// number takes a number from -limit to limit. NaN compares false with everything.
func number(limit float64, rule string) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		var v float64
		tag := n.ShortTag()
		switch {
		case tag != "!!int" && tag != "!!float", n.Decode(&v) != nil:
			d.refuse(path, fmt.Sprintf(ruleKind, "a number", describe(n)))
		case !(-limit <= v && v <= limit):
			d.refuse(path, rule)
		default:
			*to.(*float64) = v
		}
	}
}

// integer takes a whole number from least to most, both included.
func integer[T int | int64](least, most T) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		var v T
		switch {
		case n.ShortTag() != "!!int":
			d.refuse(path, fmt.Sprintf(ruleKind, "a whole number", describe(n)))
		case n.Decode(&v) != nil, v < least, v > most:
			d.refuse(path, fmt.Sprintf(ruleRange, fmt.Sprint(least), fmt.Sprint(most)))
		default:
			*to.(*T) = v
		}
	}
}

// duration takes a time from least to most, both included. A bare number is refused: some tools mean seconds by
// it and others milliseconds.
func duration(least, most time.Duration) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
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
			*to.(*time.Duration) = v
		}
	}
}

// size takes a whole number of KiB, MiB or GiB, from least to most bytes, both included. A bare number is refused: it
// may mean bytes or megabytes.
func size(least, most int64) taker {
	return func(d *decoder, path string, n *yaml.Node, to any) {
		v, ok := parseSize(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode, !ok:
			d.refuse(path, ruleSize)
		case v < least || v > most:
			d.refuse(path, fmt.Sprintf(ruleRange, sizeText(least), sizeText(most)))
		default:
			*to.(*int64) = v
		}
	}
}

// notYet refuses a key that the schema has and the program does not yet act on. Left empty it is accepted, so that a
// file can be written today as it will be; anything else is refused rather than ignored, and not repeated, since some
// of these keys hold secrets.
func notYet(what string) taker {
	return unshown(func(d *decoder, path string, n *yaml.Node, _ any) {
		if !isNull(n) && !isEmptyMapping(n) {
			d.refuse(path, fmt.Sprintf(ruleNotYet, what))
		}
	})
}
