package configs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// written is where and how a field was given.
type written struct {
	file  string
	root  string // the path of all that the file is; empty for the main one
	line  int
	value string // of a scalar; kept back for fields that hold secrets
}

// field is a path as it stands in its own file: replicas[3].place → place, where that file is one replica.
func (w written) field(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, w.root), ".")
}

// decoder walks a document once, guided by the types of Config and by a table of rules, and collects everything that is
// wrong with it. The YAML library's own decoding into types stops short of that: it has no field paths, no suggestions,
// and words of its own for a value of the wrong kind.
type decoder struct {
	file    string          // the main one: names of files are relative to its folder
	reading written         // what is walked: its file and root
	rules   map[string]rule // the table; its own functions read on by it, so they cannot name it
	budget  int             // nodes that may still be visited; see follow
	expands bool            // it was not enough
	// what files are named was looked at when the file was taken: one that is just being replaced overrules no change
	filesKnown bool
	named      []string           // files that are named, whether they are there or not
	written    map[string]written // by field path
	unread     map[string]bool    // fields whose value could not be taken: nothing more is said about them
	first      map[given]string   // where a value was given first that may be given once
	checks     []func(*Config)    // what waits until everything is read
	problems   Problems
	dropped    int // problems beyond maxProblems
}

// maxProblems bounds the report: a file of a megabyte can break a rule on every line.
const maxProblems = 1000

// field takes the value of one key or item.
type field func(path string, n *yaml.Node)

// fields are the known keys of a mapping.
type fields map[string]field

// problem reports a broken rule at path, unless path or what holds it could not be read in the first place.
func (d *decoder) problem(path, rule string) {
	if d.hidden(path) {
		return
	}
	p := placeOf(d.written, path, d.file)
	p.Value, p.Rule = shown(d.written[path].value), rule
	d.add(p)
}

// hidden reports whether path, or anything around it up to the file itself, could not be read.
func (d *decoder) hidden(path string) bool {
	for at := path; at != ""; at = parent(at) {
		if d.unread[at] {
			return true
		}
	}
	return d.unread[""]
}

// refuse reports a value that could not be taken at all.
func (d *decoder) refuse(path, rule string) {
	d.problem(path, rule)
	d.unread[path] = true
}

func (d *decoder) add(p Problem) {
	if len(d.problems) == maxProblems {
		d.dropped++
		return
	}
	if p.File == "" {
		p.File, p.Field = d.reading.file, d.reading.field(p.Field)
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) all() Problems {
	sorted := d.problems.byLine(d.file)
	if d.dropped > 0 {
		sorted = append(sorted, Problem{File: d.file, Rule: fmt.Sprintf(ruleTooMany, d.dropped)})
	}
	return sorted
}

// follow returns what an alias stands for, and counts. A document has fewer nodes than bytes; whoever visits more
// is led round by aliases, and is stopped before they multiply (the "billion laughs").
func (d *decoder) follow(n *yaml.Node) (*yaml.Node, bool) {
	if d.budget--; d.budget < 0 {
		if d.budget == -1 {
			d.add(Problem{Line: n.Line, Rule: ruleExpands})
		}
		d.expands = true
		return nil, false
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n, true
}

// mapping hands each value of n to the field of its key.
func (d *decoder) mapping(path string, n *yaml.Node, known fields) {
	if isNull(n) {
		return // a section with all its keys commented out
	}
	if n.Kind != yaml.MappingNode {
		d.refuse(path, fmt.Sprintf(ruleKind, "a mapping", describe(n)))
		return
	}
	first := map[string]int{}
	merges := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, ok := d.key(path, n.Content[i])
		if !ok {
			merges = merges || isMerge(n.Content[i])
			continue
		}
		at := join(path, key)
		if line, twice := first[key]; twice {
			d.add(Problem{Line: n.Content[i].Line, Field: at, Rule: fmt.Sprintf(ruleTwice, line)})
			continue
		}
		first[key] = n.Content[i].Line
		take, ok := known[key]
		if !ok {
			d.add(Problem{Line: n.Content[i].Line, Field: at, Rule: fmt.Sprintf(ruleUnknownKey,
				suggest(key, slices.Sorted(maps.Keys(known))))})
			continue
		}
		d.take(at, n.Content[i].Line, n.Content[i+1], take)
	}
	if merges {
		d.unread[path] = true // what seems to be missing may stand in what was not merged
	}
}

func isMerge(key *yaml.Node) bool { return key.ShortTag() == "!!merge" }

// key is the text of a mapping's key.
func (d *decoder) key(path string, n *yaml.Node) (string, bool) {
	line := n.Line
	n, ok := d.follow(n)
	switch {
	case !ok:
		return "", false
	case isMerge(n):
		d.add(Problem{Line: line, Field: path, Rule: ruleMerge})
		return "", false
	case n.Kind != yaml.ScalarNode:
		d.add(Problem{Line: line, Field: path, Rule: fmt.Sprintf(ruleKeyKind, describe(n))})
		return "", false
	}
	return n.Value, true
}

// take notes where a value was written and hands it on.
func (d *decoder) take(path string, line int, n *yaml.Node, to field) {
	n, ok := d.follow(n)
	if !ok {
		d.unread[path] = true
		return
	}
	w := d.reading
	if w.line = line; line == layerLine {
		w.file, w.line = FromSettings, 0
	}
	if n.Kind == yaml.ScalarNode {
		w.value = n.Value
	}
	d.written[path] = w
	to(path, n)
}

// item is the path of an item of a list.
func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// join appends a key to a path; one that is no plain word is quoted and cut, since it ends in a log line. What follows
// a colon is a header's value, pasted with its name.
func join(path, key string) string {
	if name, _, found := strings.Cut(key, ":"); found {
		key = name + ":***"
	}
	unfit := func(r rune) bool { return r <= ' ' || r > '~' || r == '.' || r == '[' }
	if len(key) > 64 || key == "" || strings.ContainsFunc(key, unfit) {
		key = strconv.QuoteToASCII(shown(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// parent is the path of what holds path: replicas[1].place → replicas[1] → replicas → "".
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// placeOf is where path, or the nearest thing around it, was written; at the top of file if nothing was. What is there
// to say has to be filled in.
func placeOf(all map[string]written, path, file string) Problem {
	for at := path; at != ""; at = parent(at) {
		if w, ok := all[at]; ok {
			return Problem{File: w.file, Line: w.line, Field: w.field(path)}
		}
	}
	return Problem{File: file, Line: 1, Field: path}
}

// other names a path in what is said of another one: with its file where that is not the same.
func (d *decoder) other(at, path string) string {
	w := d.written[at]
	if w.file == d.written[path].file || w.file == "" {
		return at
	}
	return fmt.Sprintf("%s of %s:%d", cmp.Or(w.field(at), "all"), w.file, w.line)
}
