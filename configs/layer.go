package configs

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Layer is what people have changed by command of what a file says.
type Layer struct {
	Home     string         // the name of the replica that is home; "": as the file says
	Replicas []LayerReplica // each name once, the earliest change first

	declared []string // names in files
}

// LayerReplica is what was changed of one replica.
type LayerReplica struct {
	Name    string
	Made    bool           // by a command; where a file declares it, too, its keys lie over those
	Deleted bool           // though a file declares it
	Keys    map[string]any // of a replica in a file, but for name and home, such as state
}

// Overruled is a change that is not in force, since what would come of it breaks a rule.
type Overruled struct {
	Name string // the replica
	Rule string // field: rule
}

// layerLine marks what stands in no file.
const layerLine = -1

var errNobodyOnline = errors.New("state: no replica would be online")

// Over is a file with what lies over it: always one that keeps every rule, has one home, and a replica that is online
// if the file has one. Changes that break a rule together with earlier ones are not in it. What takes a restart is as
// in c, which is not changed. The same file and layer make the same everywhere.
func (c *Config) Over(l Layer) (*Config, []Overruled) {
	if c.source == nil || l.Home == "" && len(l.Replicas) == 0 {
		return c, nil
	}
	if out, err := c.under(l); err == nil {
		return out, nil
	}
	var overruled []Overruled
	best, taken := c, Layer{Home: l.Home}
	if out, err := c.under(taken); err == nil {
		best = out
	}
	for _, r := range l.Replicas {
		with := taken
		with.Replicas = append(slices.Clone(taken.Replicas), r)
		out, err := c.under(with)
		if err != nil {
			overruled = append(overruled, Overruled{r.Name, firstRule(err)})
			continue
		}
		best, taken = out, with
	}
	return best, overruled
}

func firstRule(err error) string {
	var problems Problems
	if errors.As(err, &problems) && len(problems) > 0 {
		return fmt.Sprintf("%s: %s", problems[0].Field, problems[0].Rule)
	}
	return err.Error()
}

func (c *Config) under(l Layer) (*Config, error) {
	l.Home, l.declared = l.homeIn(c), names(c.Replicas)
	s := *c.source
	s.over = &l
	next, _, err := s.Config()
	if err != nil {
		return nil, err
	}
	online := func(r Replica) bool { return r.State == StateOnline }
	if slices.ContainsFunc(c.Replicas, online) && !slices.ContainsFunc(next.Replicas, online) {
		return nil, errNobodyOnline
	}
	next.leaf = c.leaf
	out := c.Applicable(next)
	out.source, out.over = c.source, &l
	return out, nil
}

// Export is the fleet as it is in force, as a file: its replicas, and nothing else.
func (c *Config) Export() ([]byte, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	add := func(data []byte) error {
		root, problem := document(data)
		if problem.Rule != "" {
			return Problems{problem}
		}
		if r := c.over.onReplica(root); r != nil {
			list.Content = append(list.Content, aliased(r))
		}
		return nil
	}
	root, problem := document(c.source.data)
	if problem.Rule != "" {
		return nil, Problems{problem}
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "replicas" {
			for _, r := range aliased(root.Content[i+1]).Content {
				if r = c.over.onReplica(r); r != nil {
					list.Content = append(list.Content, aliased(r))
				}
			}
		}
	}
	for _, p := range slices.Concat(c.source.parts, c.over.parts()) {
		if err := add(p.data); err != nil {
			return nil, err
		}
	}
	out := &yaml.Node{Kind: yaml.MappingNode}
	set(out, "hostname", c.Hostname)
	out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "replicas"}, list)
	return yaml.Marshal(out)
}

// DeclaredAt is where a file declares a replica: FILE:LINE; "": none does.
func (c *Config) DeclaredAt(name string) string {
	for i, r := range c.Replicas {
		if at, ok := c.written[item("replicas", i)]; ok && r.Name == name {
			return fmt.Sprintf("%s:%d", at.file, at.line)
		}
	}
	return ""
}

func names(replicas []Replica) (all []string) {
	for _, r := range replicas {
		all = append(all, r.Name)
	}
	return all
}

// homeIn is the replica that is home then: the one that was said, else the file's, else the first by name.
func (l *Layer) homeIn(c *Config) string {
	var there []string
	home := ""
	for _, r := range c.Replicas {
		if of := l.of(r.Name); of == nil || !of.Deleted {
			there = append(there, r.Name)
			if r.Home {
				home = r.Name
			}
		}
	}
	for _, r := range l.Replicas {
		if r.Made && !r.Deleted {
			there = append(there, r.Name)
		}
	}
	switch {
	case slices.Contains(there, l.Home):
		return l.Home
	case home != "" || len(there) == 0:
		return home
	}
	return slices.Min(there)
}

func (l *Layer) of(name string) *LayerReplica {
	i := slices.IndexFunc(l.Replicas, func(r LayerReplica) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Replicas[i]
}

// nodes bounds how many nodes it adds to a document.
func (l *Layer) nodes() (n int) {
	if l != nil {
		for _, r := range l.Replicas {
			n += 4 + 64*len(r.Keys)
		}
	}
	return n
}

// onFile is the main file as it would stand with the layer: without `here`, which may name what was deleted. Nothing of
// root is changed.
func (l *Layer) onFile(root *yaml.Node) *yaml.Node {
	if l == nil || root.Kind != yaml.MappingNode {
		return root
	}
	out := without(root, "here")
	for i := 0; i+1 < len(out.Content); i += 2 {
		list := aliased(out.Content[i+1])
		if out.Content[i].Value != "replicas" || list.Kind != yaml.SequenceNode {
			continue
		}
		replicas := *list
		replicas.Content = nil
		for _, r := range list.Content {
			if with := l.onReplica(r); with != nil {
				replicas.Content = append(replicas.Content, with)
			}
		}
		out.Content[i+1] = &replicas
	}
	return out
}

// onReplica is a replica of a file as it would stand with the layer; nil: it was deleted.
func (l *Layer) onReplica(n *yaml.Node) *yaml.Node {
	if n == nil || l == nil || aliased(n).Kind != yaml.MappingNode {
		return n
	}
	name, out := valueOf(n, "name"), aliased(n)
	switch {
	case name != l.Home:
		out = without(n, "home")
	case valueOf(n, "home") != "true":
		out = without(n, "home")
		set(out, "home", true)
	}
	if change := l.of(name); change != nil {
		if change.Deleted {
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(change.Keys)) {
			out = without(out, key)
			set(out, key, change.Keys[key])
		}
	}
	return out
}

// parts are the replicas that no file declares.
func (l *Layer) parts() (parts []part) {
	if l == nil {
		return nil
	}
	for _, r := range l.Replicas {
		if !r.Made || r.Deleted || slices.Contains(l.declared, r.Name) {
			continue
		}
		n := &yaml.Node{Kind: yaml.MappingNode}
		set(n, "name", r.Name)
		if data, err := yaml.Marshal(n); err == nil {
			parts = append(parts, part{FromSettings, data})
		}
	}
	return parts
}

func aliased(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// valueOf is what a mapping has of a key, as text.
func valueOf(n *yaml.Node, key string) string {
	of := aliased(n)
	for i := 0; i+1 < len(of.Content); i += 2 {
		if of.Content[i].Value == key {
			return aliased(of.Content[i+1]).Value
		}
	}
	return ""
}

// without is a mapping without a key.
func without(n *yaml.Node, key string) *yaml.Node {
	out := *aliased(n)
	out.Content = nil
	for i, of := 0, aliased(n); i+1 < len(of.Content); i += 2 {
		if of.Content[i].Value != key {
			out.Content = append(out.Content, of.Content[i], of.Content[i+1])
		}
	}
	return &out
}

// set adds a key to a mapping.
func set(n *yaml.Node, key string, value any) {
	var of yaml.Node
	if err := of.Encode(value); err != nil { // what JSON has, YAML has
		of = yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key, Line: layerLine}, &of)
}
