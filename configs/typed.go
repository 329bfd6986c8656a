package configs

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// value takes what stands at path into a field of Config. key is the path without the numbers of items: the row of the
// table.
func (d *decoder) value(path, key string, n *yaml.Node, to reflect.Value) {
	r := d.rules[key]
	if r.emptyIsNone && (isNull(n) || isEmptyMapping(n)) {
		return
	}
	if r.begins != nil {
		to.Set(reflect.ValueOf(r.begins()))
	}
	if r.secret {
		d.hide(path)
	}
	switch kind := to.Kind(); {
	case r.take != nil:
		r.take(d, path, n, to.Addr().Interface())
	case kind == reflect.Pointer && n.Kind != yaml.MappingNode:
		d.refuse(path, fmt.Sprintf(ruleKind, "a mapping", describe(n)))
	case kind == reflect.Pointer:
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		}
		d.section(path, key, n, to.Elem())
	case kind == reflect.Struct:
		d.section(path, key, n, to)
	case kind == reflect.Slice:
		d.list(path, key, n, to)
	case kind == reflect.Bool:
		d.flag(path, n, to)
	default:
		text(anyText)(d, path, n, to.Addr().Interface())
	}
	if r.distinct != nil {
		d.later(path, func(*Config) { d.distinct(path, key, r.distinct(to.Interface())) })
	}
	if r.check != nil {
		d.later(path, func(c *Config) { r.check(d, c, path, to.Interface()) })
	}
}

// section takes a mapping into a struct whose fields say their keys.
func (d *decoder) section(path, key string, n *yaml.Node, to reflect.Value) {
	known := fields{}
	for name, into := range keysOf(to) {
		known[name] = func(path string, n *yaml.Node) { d.value(path, below(key, name), n, into) }
	}
	d.later(path, func(*Config) { d.missing(path, key, to) })
	d.mapping(path, n, known)
}

// keysOf has the fields of a struct that have a key, in their order.
func keysOf(of reflect.Value) iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		for i := range of.NumField() {
			name := of.Type().Field(i).Tag.Get("yaml")
			if name != "" && name != "-" && !yield(name, of.Field(i)) {
				return
			}
		}
	}
}

// below is the row of a key in a section.
func below(key, name string) string { return strings.TrimPrefix(key+"."+name, ".") }

// missing reports keys that were left out of a section and must be there.
func (d *decoder) missing(path, key string, section reflect.Value) {
	for name, value := range keysOf(section) {
		r, at := d.rules[below(key, name)], join(path, name)
		switch _, given := d.written[at]; {
		case given:
		case r.required:
			d.problem(at, ruleMissing)
		case r.least > 0 && value.Len() == 0:
			d.problem(at, ruleNoItem)
		}
	}
}

// list takes a list into a slice. An item that cannot be taken keeps its place, so that indexes are those of the file.
func (d *decoder) list(path, key string, n *yaml.Node, to reflect.Value) {
	r, element := d.rules[key], to.Type().Elem()
	to.SetZero()
	switch {
	case n.Kind == yaml.SequenceNode:
		for i, child := range n.Content {
			into, at, checks := reflect.New(element).Elem(), item(path, i), len(d.checks)
			d.take(at, child.Line, child, func(path string, n *yaml.Node) { d.value(path, key+"[]", n, into) })
			if r.orOne && into.IsZero() && !d.unread[at] {
				d.refuse(at, ruleEmptyItem)
			}
			to.Set(reflect.Append(to, into))
			if r.most > 0 && i >= r.most {
				d.checks = d.checks[:checks] // it is one too many: that is said, and is enough
			}
		}
	case r.orOne:
		into := reflect.New(element).Elem()
		if d.value(path, key+"[]", n, into); !into.IsZero() {
			to.Set(reflect.Append(to, into))
		}
	case !isNull(n):
		d.refuse(path, fmt.Sprintf(ruleKind, "a list", describe(n)))
	}
	if r.most > 0 {
		d.later(path, func(*Config) { d.count(path, to.Len(), r.least, r.most) })
	}
}

func (d *decoder) count(path string, have, least, most int) {
	switch {
	case have < least:
		d.problem(path, ruleNoItem)
	case have > most:
		d.problem(path, fmt.Sprintf(ruleItems, most, have))
	}
}

// later has something checked once everything is read, unless the value at path could not be.
func (d *decoder) later(path string, check func(*Config)) {
	d.checks = append(d.checks, func(c *Config) {
		if !d.unread[path] {
			check(c)
		}
	})
}

// check holds what is read to the rules that wait for it.
func (d *decoder) check(c *Config) {
	if d.expands {
		return // half of the file was left unread, and would seem to be missing
	}
	for _, check := range d.checks {
		check(c)
	}
	d.checkListeners(c)
}

// given is a value within a group of distinct ones.
type given struct {
	group string
	value any
}

// distinct reports a value that was given before among those of one group.
func (d *decoder) distinct(path, group string, value any) {
	if d.unread[path] {
		return
	}
	if at, again := d.first[given{group, value}]; again {
		d.problem(path, fmt.Sprintf(ruleSame, d.other(at, path)))
		return
	}
	d.first[given{group, value}] = path
}
