package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth bounds nesting; the schema itself is five deep.
const maxDepth = 32

// document parses data into the one node it holds. A Problem without a Rule means none.
//
// The node is not constructed into Go values, so the library's own guard against aliases that multiply never
// runs; decoder.follow is ours.
func document(data []byte) (*yaml.Node, Problem) {
	if len(data) > maxFile {
		return nil, Problem{Rule: fmt.Sprintf(ruleTooLarge, maxFile)}
	}
	if !utf8.Valid(data) {
		return nil, Problem{Line: invalidLine(data), Rule: ruleNotUTF8}
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, Problem{Rule: fmt.Sprintf(ruleSyntax, err)}
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, Problem{Line: 1, Rule: ruleEmpty}
	case err != nil:
		return nil, syntaxProblem(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, Problem{Line: second.Line, Rule: ruleDocuments}
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(err)
	}
	root := first.Content[0]
	if root.ShortTag() == "!!null" && root.Value == "" {
		return nil, Problem{Line: 1, Rule: ruleEmpty}
	}
	return root, Problem{}
}

func syntaxProblem(err error) Problem {
	var load *yaml.LoadError
	if errors.As(err, &load) {
		return Problem{Line: load.Mark.Line, Rule: fmt.Sprintf(ruleSyntax, shown(load.Message))}
	}
	return Problem{Rule: fmt.Sprintf(ruleSyntax, shown(err.Error()))}
}

// invalidLine is the line of the first byte that is not UTF-8.
func invalidLine(data []byte) int {
	rest := data
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			break
		}
		rest = rest[size:]
	}
	return 1 + bytes.Count(data[:len(data)-len(rest)], []byte("\n"))
}
