package configs

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// later takes a key that the schema has and the program does not yet act on. Left empty it is accepted, so that
// a file can be written whole today; anything else is refused rather than ignored, and not repeated, since some
// of these keys hold secrets.
func (d *decoder) later(empty func(*yaml.Node) bool, what string) field {
	return func(path string, n *yaml.Node) {
		if isNull(n) || empty(n) {
			return
		}
		d.written[path] = written{line: d.written[path].line}
		d.refuse(path, fmt.Sprintf(ruleNotYet, what))
	}
}

func emptyMapping(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) == 0
}
