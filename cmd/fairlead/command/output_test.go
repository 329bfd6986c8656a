package command

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestOutput: az's formats, and its --query.
func TestOutput(t *testing.T) {
	type inner struct {
		Tags  []string `json:"tags"`
		Ready bool     `json:"ready"`
	}
	type item struct {
		Name  string  `json:"name"`
		Of    inner   `json:"of"`
		Bias  float64 `json:"bias"`
		Large int64   `json:"large"`
	}
	all := []item{{"west", inner{[]string{"a", "b"}, true}, 1.5, 3_000_000_000}, {"east", inner{}, 0, 0}}
	for _, c := range []struct{ args, want, fails string }{
		{"", "people\n", ""},
		{"-o json --query [].name", "[\n  \"west\",\n  \"east\"\n]\n", ""},
		{"-o jsonc --query [0].of", "{\n  \"ready\": true,\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ]\n}\n", ""},
		{"-o yaml --query [0].of", "ready: true\ntags:\n    - a\n    - b\n", ""},
		{"-o yamlc --query [1].name", "east\n", ""},
		{"-o tsv", "1.5\t3000000000\twest\t\n0\t0\teast\t\n", ""},
		{"-o tsv --query [0].name", "west\n", ""},
		{"-o tsv --query [].[name,of.ready,of.tags]", "west\ttrue\t2\neast\tfalse\t\n", ""},
		{"-o tsv --query [?name=='east'].name|[0]", "east\n", ""},
		{"-o tsv --query [?name=='none'].name", "", ""},
		{"-o none", "", ""},
		{"--query [].{name:name,ready:of.ready}", "Name  Ready\nwest  true\neast  false\n", ""},
		{"--query [0].name", "Result\nwest\n", ""},
		{"-o xml", "", `-o: table, json, jsonc, yaml, yamlc, tsv, none, not "xml"`},
		{"--query [", "", `--query "[": `},
	} {
		var o output
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.outputFlags(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := o.check()
		if err == nil {
			err = o.print(&out, all, func(w io.Writer) error { _, err := io.WriteString(w, "people\n"); return err })
		}
		if out.String() != c.want || (err == nil) != (c.fails == "") || err != nil && err.Error()[:len(c.fails)] != c.fails {
			t.Errorf("%s: %q, %v", c.args, out.String(), err)
		}
	}
	lines := output{lines: true, format: "yaml"}
	if lines.check() == nil {
		t.Error("what prints as it goes on prints YAML")
	}
}
