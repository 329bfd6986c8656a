package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jmespath-community/go-jmespath"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

// output is how an answer is printed: az's formats, and its --query.
type output struct {
	format string
	query  string
	lines  bool // the command prints as it goes on: as a table for people, or a line of JSON at a time
}

// The formats, as az has them.
var (
	formats     = []string{"table", "json", "jsonc", "yaml", "yamlc", "tsv", "none"}
	lineFormats = formats[:2]
)

func (o *output) outputFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "output", "o", "table", strings.Join(o.formats(), ", "))
	if !o.lines {
		f.StringVar(&o.query, "query", "", "a JMESPath of the answer, as JSON has it, to print that alone")
	}
}

func (o *output) formats() []string {
	if o.lines {
		return lineFormats
	}
	return formats
}

func (o *output) check() error {
	if !slices.Contains(o.formats(), o.format) {
		return fmt.Errorf("-o: %s, not %q", strings.Join(o.formats(), ", "), o.format)
	}
	if o.query != "" {
		if _, err := jmespath.Compile(o.query); err != nil {
			return fmt.Errorf("--query %q: %w", o.query, err)
		}
	}
	return nil
}

// print prints an answer. table writes what people read; with a query it is made of what that finds.
func (o *output) print(w io.Writer, v any, table func(io.Writer) error) error {
	if o.query != "" {
		found, err := o.find(v)
		if err != nil {
			return err
		}
		v, table = found, func(w io.Writer) error { return anyTable(w, found) }
	}
	switch o.format {
	case "json", "jsonc":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	case "yaml", "yamlc":
		return asYAML(w, v)
	case "tsv":
		plain, err := plainOf(v)
		if err != nil {
			return err
		}
		return tsv(w, plain)
	case "none":
		return nil
	}
	return table(w)
}

func (o *output) find(v any) (any, error) {
	plain, err := plainOf(v)
	if err != nil {
		return nil, err
	}
	found, err := jmespath.Search(o.query, plain)
	if err != nil {
		return nil, fmt.Errorf("--query %q: %w", o.query, err)
	}
	return found, nil
}

// plainOf is a value as JSON has it, without types of ours.
func plainOf(v any) (plain any, err error) {
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	return plain, err
}

// asYAML goes by JSON, which is YAML: keys have the names that JSON has.
func asYAML(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := yaml.Unmarshal(data, &plain); err != nil {
		return err
	}
	if data, err = yaml.Marshal(plain); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// tsv writes a line for each item, of the values of its keys in their order: of a list its length, of an object nothing.
func tsv(w io.Writer, v any) error {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		var fields []string
		switch of := item.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(of)) {
				fields = append(fields, field(of[key]))
			}
		case []any:
			for _, value := range of {
				fields = append(fields, field(value))
			}
		default:
			fields = []string{field(of)}
		}
		if _, err := fmt.Fprintln(w, strings.Join(fields, "\t")); err != nil {
			return err
		}
	}
	return nil
}

func field(v any) string {
	switch of := v.(type) {
	case float64:
		return strconv.FormatFloat(of, 'f', -1, 64)
	case nil, map[string]any:
		return ""
	case []any:
		return fmt.Sprint(len(of))
	}
	return fmt.Sprint(v)
}

// anyTable writes what a query has found: a row for each object, with a column for each of its keys, or one value a row.
func anyTable(w io.Writer, v any) error {
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	columns := map[string]bool{}
	for _, item := range items {
		if of, ok := item.(map[string]any); ok {
			for key := range of {
				columns[key] = true
			}
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(fields []string) { fmt.Fprintln(t, strings.Join(fields, "\t")) }
	keys := slices.Sorted(maps.Keys(columns))
	var names []string
	for _, key := range keys {
		names = append(names, strings.ToUpper(key[:min(1, len(key))])+key[min(1, len(key)):])
	}
	if len(keys) == 0 {
		names = []string{"Result"}
	}
	row(names)
	for _, item := range items {
		of, isObject := item.(map[string]any)
		switch {
		case !isObject:
			row([]string{field(item)})
		default:
			var fields []string
			for _, key := range keys {
				fields = append(fields, field(of[key]))
			}
			row(fields)
		}
	}
	return t.Flush()
}
