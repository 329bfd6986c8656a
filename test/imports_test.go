package test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fairlead-gateway/fairlead"

// siblings never import each other. They may share the values of leaves (ADR 023); what one must do for another travels
// as a small function or interface that cmd/fairlead/gateway hands in. Packages that do not exist yet are held from
// their first day.
var siblings = []string{"dnsserver", "proxy", "health", "admin", "configs", "geo/mmdb", "replication", "notify",
	"notify/webhook", "agent", "cluster"}

// ban forbids packages an import, directly or through others. Lists of exceptions may only shrink.
type ban struct {
	packages []string // below the module
	banned   string   // an import path, or with /... all at and below it
	reach    bool     // also through other packages
	except   []string // packages of the module that may
	reason   string
}

var pure = []string{"router", "geo", "backoff"}

func bans() []ban {
	all := []string{"..."}
	list := []ban{
		{pure, "os", true, nil, "a decision depends on its arguments alone"},
		{pure, "net", true, nil, "a decision talks to nobody; addresses are net/netip's"},
		{pure, "net/http", true, nil, "a decision knows no transport"},
		{pure, "log/slog", true, nil, "a decision returns its reason; the shell logs it"},
		{pure, "sync/...", false, nil, "decisions are values: there is nothing to lock"},
		{pure, "context", false, nil, "a decision does not wait, so it cannot be cancelled"},
		{[]string{"geo"}, module + "/...", false, nil,
			"geo is the bottom: places and distances know nothing of replicas"},
		{[]string{"notify"}, module + "/...", false, []string{"hlc", "ledger", "notify/webhook",
			"notify/webhook/subscription"}, "who tells knows what was recorded, and who is told"},
		{[]string{"configs/keyfiles"}, module + "/...", false, nil,
			"certificates and keys know nothing of who shows them"},
		{all, module + "/configs/keyfiles/keyfilestest", false, nil, "no test helper is a dependency of the product"},
		{[]string{"proxy/accesslog"}, module + "/...", false, nil, "a log knows nothing of what is logged"},
		{[]string{"backoff"}, module + "/...", false, nil, "a delay knows nothing of what is tried again"},
		{[]string{"boltfile"}, module + "/...", false, nil, "a file knows nothing of what is kept in it"},
		{[]string{"notify/webhook/subscription"}, module + "/...", false, []string{"oci"},
			"the rules of a subscription know nothing of who holds to them"},
		{[]string{"hlc"}, module + "/...", false, nil, "a clock knows nothing of what it stamps"},
		{[]string{"ledger"}, module + "/...", false, []string{"boltfile", "hlc"},
			"a ledger knows nothing of who uses it"},
		{all, module + "/ledger/...", false, []string{"proxy", "replication", "replication/audit", "notify",
			"cmd/fairlead/gateway"}, "the write side alone speaks the ledger's language"},
		{[]string{"settings"}, module + "/...", false, []string{"configs", "hlc"},
			"what lies over a file knows nothing of who keeps it"},
		{[]string{"settings"}, "os", false, nil, "what lies over a file is a function of the two"},
		{[]string{"oci"}, module + "/...", false, nil, "a grammar knows nothing of who reads by it"},
		{[]string{"transfer", "transfer/auth", "transfer/manifest"}, module + "/...", false, []string{"oci"},
			"copying knows two registries and no fleet"},
		{[]string{"transfer/graph"}, module + "/...", false, []string{"oci", "transfer", "transfer/manifest"},
			"copying knows two registries and no fleet"},
		{[]string{"replication/audit"}, module + "/...", false, []string{"ledger", "transfer", "transfer/manifest"},
			"who looks knows neither who records nor who copies"},
		{[]string{"upstream/splice"}, module + "/...", false, nil, "the kernel knows nothing of what it moves"},
		{[]string{"upstream/h1"}, module + "/...", false, []string{"upstream/splice"},
			"HTTP's grammar knows nothing of registries"},
		{[]string{"upstream"}, module + "/...", false, []string{"oci", "transfer", "upstream/h1"},
			"a way to a replica knows neither who goes it nor why"},
		{[]string{"proxy/strict"}, module + "/...", false, nil, "HTTP's grammar knows nothing of registries"},
		{[]string{"proxy/tlsbuf"}, module + "/...", false, nil, "buffers know nothing of what is in them"},
		{[]string{"router"}, module + "/...", false, []string{"geo"}, "router knows places and nothing else"},
		{[]string{"cmd/fairlead/gateway"}, module + "/cmd/...", false, nil,
			"a gateway knows nothing of how it was called"},
		{all, "github.com/miekg/dns/...", false, []string{"dnsserver", "agent"},
			"its upstream is frozen: its types stay where they can be replaced"},
		{all, "github.com/spf13/...", false, []string{"cmd/fairlead", "cmd/fairlead/command"}, "commands are main's"},
		{all, "github.com/google/go-containerregistry/...", false, []string{"cmd/fairlead"},
			"the registries of the demo are no part of a gateway"},
		{all, "go.yaml.in/yaml/...", false, []string{"configs", "cmd/fairlead/command"},
			"the file is read in one place; commands print"},
		{all, module + "/test/...", true, nil, "no test tool is a dependency of the product"},
		{all, "testing", true, nil, "no test helper is a dependency of the product"},
	}
	for _, s := range siblings {
		for _, other := range siblings {
			if s != other && !strings.HasPrefix(other, s+"/") {
				list = append(list, ban{
					[]string{s}, module + "/" + other + "/...", false, []string{"notify/webhook/subscription"},
					"siblings never import each other, save for a leaf",
				})
			}
		}
	}
	return list
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir string
	Standard        bool
	GoFiles         []string
	Imports, Deps   []string
}

func (p listed) ours() (short string, ok bool) { return strings.CutPrefix(p.ImportPath, module+"/") }

func productPackages(t *testing.T) []listed {
	t.Helper()
	out, err := goCommand("..", "list", "-deps", "-json=ImportPath,Dir,Standard,GoFiles,Imports,Deps", "./...")
	must(t, err)
	var packages []listed
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		must(t, err)
		if _, ours := p.ours(); ours {
			packages = append(packages, p)
		}
	}
}

func TestImports(t *testing.T) {
	packages := productPackages(t)
	for _, want := range append([]string{"cmd/fairlead", "cmd/fairlead/command", "cmd/fairlead/gateway", "dnsserver",
		"proxy", "proxy/strict", "health", "admin", "configs", "transfer", "upstream"}, pure...) {
		if !slices.ContainsFunc(packages, func(p listed) bool { return p.ImportPath == module+"/"+want }) {
			t.Errorf("there is no package %s: a ban on it would hold nothing", want)
		}
	}
	for _, b := range bans() {
		for _, p := range packages {
			b.check(t, p)
		}
	}
}

func (b ban) check(t *testing.T, p listed) {
	t.Helper()
	short, _ := p.ours()
	if !slices.Contains(b.packages, short) && b.packages[0] != "..." || slices.Contains(b.except, short) {
		return
	}
	imports := p.Imports
	if b.reach {
		imports = p.Deps
	}
	for _, i := range imports {
		if matches(b.banned, i) && !b.excepted(i) {
			t.Errorf("%s imports %s: %s", short, i, b.reason)
		}
	}
}

// excepted: an exception of a ban on the module's own packages names what may be imported.
func (b ban) excepted(path string) bool {
	short, ours := strings.CutPrefix(path, module+"/")
	return ours && slices.Contains(b.except, short)
}

func matches(pattern, path string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	return path == prefix || below && strings.HasPrefix(path, prefix+"/")
}

// ledgerValues are what those may use of the ledger who are handed what it does.
var ledgerValues = []string{"Entry", "Reference", "Content", "Request", "Cursor", "IsFound", "Event", "Pushed"}

// TestLedgerIsHandedIn: the write side speaks the ledger's language, and opens, asks and changes none itself.
func TestLedgerIsHandedIn(t *testing.T) {
	for _, p := range productPackages(t) {
		short, _ := p.ours()
		if !slices.Contains([]string{"proxy", "replication", "replication/audit", "notify"}, short) {
			continue
		}
		for _, file := range p.GoFiles {
			uses(t, filepath.Join(p.Dir, file), module+"/ledger", func(name string) string {
				if slices.Contains(ledgerValues, name) {
					return ""
				}
				return "what the ledger does is handed in"
			})
		}
	}
}

// clock is what reads it or waits for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

// TestNoClock: time is an argument of every decision, so that it can be tested as a table.
func TestNoClock(t *testing.T) {
	for _, p := range productPackages(t) {
		if short, _ := p.ours(); !slices.Contains(pure, short) {
			continue
		}
		for _, file := range p.GoFiles {
			noClock(t, filepath.Join(p.Dir, file))
		}
	}
	noClock(t, filepath.Join("..", "health", "step.go"))
}

func noClock(t *testing.T, file string) {
	t.Helper()
	uses(t, file, "time", func(name string) string {
		if slices.Contains(clock, name) {
			return "time is an argument here"
		}
		return ""
	})
}

// uses asks of each name that a file uses of a package what is wrong with that; "" is nothing.
func uses(t *testing.T, file, of string, wrong func(name string) string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	must(t, err)
	local := ""
	for _, i := range parsed.Imports {
		if i.Path.Value == strconv.Quote(of) {
			if local = path.Base(of); i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && local != "" && x.Name == local {
			if why := wrong(s.Sel.Name); why != "" {
				t.Errorf("%s: %s.%s: %s", set.Position(s.Pos()), local, s.Sel.Name, why)
			}
		}
		return true
	})
}

// TestNothingIsCompleted: what the gateway hands to a part it hands to its constructor. No field of another part is
// assigned afterwards.
func TestNothingIsCompleted(t *testing.T) {
	files, err := filepath.Glob("../cmd/fairlead/gateway/*.go")
	must(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			assigned, ok := n.(*ast.AssignStmt)
			if !ok || assigned.Tok != token.ASSIGN {
				return true
			}
			for _, to := range assigned.Lhs {
				if field, ok := to.(*ast.SelectorExpr); ok {
					if _, nested := field.X.(*ast.SelectorExpr); nested {
						t.Errorf("%s: a part is completed after it was made", set.Position(to.Pos()))
					}
				}
			}
			return true
		})
	}
}
