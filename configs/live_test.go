package configs

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

// schemaKeys are all keys that can have a value, and what comes and goes as a whole.
func schemaKeys(key string, of reflect.Type) (keys []string) {
	switch {
	case of.Kind() == reflect.Pointer && of.Elem().Kind() == reflect.Struct && of.Elem().Field(0).Tag.Get("yaml") != "":
		return append([]string{key}, schemaKeys(key, of.Elem())...)
	case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct && of.Elem().Field(0).Tag.Get("yaml") != "":
		return append([]string{key + "[]"}, schemaKeys(key+"[]", of.Elem())...)
	case of.Kind() != reflect.Struct:
		return []string{key}
	}
	sections := false
	for i := range of.NumField() {
		if name := of.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			sections = true
			keys = append(keys, schemaKeys(below(key, name), of.Field(i).Type)...)
		}
	}
	if !sections {
		return []string{key}
	}
	return keys
}

// TestEveryKeyHasAVerdict: of a new key somebody has to say whether a running gateway takes it.
func TestEveryKeyHasAVerdict(t *testing.T) {
	keys := schemaKeys("", reflect.TypeFor[Config]())
	if len(keys) < 70 {
		t.Fatalf("%d keys: the walk does not see them", len(keys))
	}
	for _, key := range keys {
		if _, ok := restarts[key]; !ok {
			t.Errorf("%s is neither live nor does it need a restart", key)
		}
	}
	for key, needed := range restarts {
		if !slices.Contains(keys, key) {
			t.Errorf("there is no key %s", key)
		}
		if needed && strings.Contains(key, "[]") {
			t.Errorf("%s is in a list: keep does not go there", key)
		}
	}
}

// TestOperatingTable: docs/operating.md has a row for each key, in which stands what the program does, and which test
// of this repository shows it.
func TestOperatingTable(t *testing.T) {
	data, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, tests := map[string]string{}, testNames(t)
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for key := range strings.SplitSeq(cells[1], ",") {
			rows[strings.Trim(key, " `")] = strings.TrimSpace(cells[2])
		}
		if name := strings.Trim(cells[4], " `"); strings.HasPrefix(name, "Test") && !tests[name] {
			t.Errorf("%s: there is no %s", cells[1], name)
		}
	}
	for key, needed := range restarts {
		if want := map[bool]string{live: "live", restart: "restart"}[needed]; rows[key] != want {
			t.Errorf("%s: the table says %q, the program %q", key, rows[key], want)
		}
	}
}

// testNames are those of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	if err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const second = `  - {name: eastus, place: azure/eastus, addresses: [203.0.113.11], upstream: "https://registry.eastus.internal"}
`

var twoReplicas = strings.Replace(smallest, `internal"}`, `internal", home: true}`, 1) + second

func TestChanges(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "one")
	tlsOf := "proxy: {tls: {certificate: " + filepath.Join(dir, "one.pem") + ", key: " + filepath.Join(dir, "one.key") + "}}\n"
	const hook = `webhooks: [{name: ciBuilds, uri: "https://h/CANARY", actions: [push], headers: {A: CANARY%s}, secret: "CANARY0123456789"}]` + "\n"
	for _, tt := range []struct {
		name, was, is string
		want          []string
	}{
		{"nothing", twoReplicas, twoReplicas, nil},
		{"comments and order", smallest, "# a\n" + smallest, nil},
		{"a default written out", smallest, smallest + "dns: {ttl: 60s}\n", nil},
		{"a duration", smallest, smallest + "dns: {ttl: 30s}\n", []string{"dns.ttl: 1m → 30s"}},
		{"a listener", smallest, smallest + `dns: {listen: ["127.0.0.1:53"]}` + "\n",
			[]string{"dns.listen: :53 → 127.0.0.1:53 (needs a restart)"}},
		{"from nothing", smallest, smallest + "here: westus\n", []string{`here: "" → westus (needs a restart)`}},
		{"a replica's", twoReplicas, strings.Replace(twoReplicas, "{name: eastus", "{bias: -5, state: drain, name: eastus", 1),
			[]string{"replicas[eastus].state: online → drain", "replicas[eastus].bias: 0 → -5"}},
		{"a replica added", strings.Replace(smallest, `internal"}`, `internal", home: true}`, 1), twoReplicas,
			[]string{`replicas[eastus]: "" → {name: eastus, place: azure/eastus, addresses: 203.0.113.11, upstream: https://registry.eastus.internal}`}},
		{"a replica gone", twoReplicas, strings.Replace(twoReplicas, second, "", 1), []string{
			`replicas[eastus]: {name: eastus, place: azure/eastus, addresses: 203.0.113.11, upstream: https://registry.eastus.internal} → ""`}},
		{"home moves", twoReplicas, strings.Replace(strings.Replace(twoReplicas, ", home: true", "", 1), "{name: eastus", "{home: true, name: eastus", 1),
			[]string{"replicas[westus].home: true → false", "replicas[eastus].home: false → true"}},
		{"a network", smallest + "geo: {networks: [{network: 10.0.0.0/8, place: azure/westus}]}\n",
			smallest + "geo: {networks: [{network: 10.0.0.0/8, place: {lat: 1, lon: 2}}]}\n",
			[]string{"geo.networks[10.0.0.0/8].place: azure/westus → {lat: 1, lon: 2}"}},
		{"tls begins", smallest, smallest + tlsOf, []string{`proxy.tls: "" → {certificate: ` + dir + "/one.pem, key: " + dir + "/one.key} (needs a restart)"}},
		{"a webhook's secrets", smallest + fmt.Sprintf(hook, ""), smallest + fmt.Sprintf(hook, "1"),
			[]string{"webhooks[ciBuilds].headers: *** → ***"}},
		{"a webhook", smallest, smallest + fmt.Sprintf(hook, ""),
			[]string{`webhooks[ciBuilds]: "" → {name: ciBuilds, actions: push, uri: ***, headers: ***, secret: ***}`}},
		{"a filter", smallest, smallest + "replication: {filters: [{repositories: [scratch/*]}]}\n",
			[]string{`replication.filters[0]: "" → {repositories: scratch/*}`}},
	} {
		var got []string
		for _, c := range Changes(parsed(t, tt.was), parsed(t, tt.is)) {
			got = append(got, c.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// TestApplicable: what takes a restart stays, all else of the same edit counts, and neither of both files is changed.
func TestApplicable(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "one")
	rest := `
state: STATE
here: westus
dns: {listen: ["127.0.0.1:530"], ttl: TTL}
proxy: {listen: ["127.0.0.1:444"], paths: [PATH]}
admin: {listen: "127.0.0.1:9181"}
cluster: {listen: "127.0.0.1:7947", name: gw1, peers: ["127.0.0.1:PORT"]}
`
	was := parsed(t, twoReplicas+strings.NewReplacer("STATE", dir, "TTL", "60s", "PATH", "/a", "PORT", "7001").Replace(rest))
	text := strings.NewReplacer("STATE", dir+"/other", "TTL", "30s", "PATH", "/b", "PORT", "7002", "listen: \"127.0.0.1:7947\"",
		"listen: \"127.0.0.1:7948\"", "gw1", "gw2", "127.0.0.1:530", "127.0.0.1:531", "127.0.0.1:444", "127.0.0.1:445", "9181", "9182",
		"here: westus", "here: eastus").Replace(rest)
	text = strings.Replace(text, "paths", "tls: {certificate: "+dir+"/one.pem, key: "+dir+"/one.key}, paths", 1)
	is := parsed(t, strings.ReplaceAll(twoReplicas, "registry.contoso.com", "registry.contoso.org")+text)
	before := [2][]Value{was.Values(), is.Values()}
	got := was.Applicable(is)
	for _, c := range Changes(was, got) {
		if want := map[string]string{"dns.ttl": "30s", "proxy.paths": "/b", "cluster.peers": "127.0.0.1:7002"}[c.Field]; c.New != want {
			t.Errorf("%v, want %q", c, want)
		}
	}
	restarting := 0
	for _, c := range Changes(got, is) {
		restarting++
		if !c.Restart {
			t.Errorf("%v does not count, and needs no restart", c)
		}
	}
	if want := 9; restarting != want {
		t.Errorf("%d changes need a restart, want %d: %v", restarting, want, Changes(got, is))
	}
	if !reflect.DeepEqual(before, [2][]Value{was.Values(), is.Values()}) {
		t.Error("a file was changed")
	}
	for _, v := range got.Values() {
		kept := slices.ContainsFunc(Changes(got, is), func(c Change) bool { return c.Field == v.Field })
		if kept != (v.From == FromStart) {
			t.Errorf("%s comes from %s, and is kept: %v", v.Field, v.From, kept)
		}
	}
}

// TestApplicableKeepsTLS: a certificate is not taken away from listeners that have one.
func TestApplicableKeepsTLS(t *testing.T) {
	dir := t.TempDir()
	keyfilestest.WritePair(dir, "one")
	with := parsed(t, smallest+"proxy: {tls: {certificate: "+dir+"/one.pem, key: "+dir+"/one.key}}\n")
	if got := with.Applicable(parsed(t, smallest)); got.Proxy.TLS == nil || got.leaf == nil {
		t.Error("the certificate is gone")
	}
	if got := parsed(t, smallest).Applicable(with); got.Proxy.TLS != nil || got.leaf != nil {
		t.Error("there is a certificate")
	}
}

func TestValuesSayWhereTheyComeFrom(t *testing.T) {
	c := parsed(t, smallest+"dns: {ttl: 30s}\nlease:\n  idle: 1h\n")
	if err := c.SetHere("westus"); err != nil {
		t.Fatal(err)
	}
	got := map[string]Value{}
	for _, v := range c.Values() {
		got[v.Field] = v
	}
	for field, want := range map[string][2]string{
		"hostname":                  {"registry.contoso.com", "f.yaml:2"},
		"here":                      {"westus", FromFlag},
		"dns.ttl":                   {"30s", "f.yaml:5"},
		"dns.listen":                {":53", FromDefault},
		"lease.idle":                {"1h", "f.yaml:7"},
		"replicas[westus].upstream": {"https://registry.westus.internal", "f.yaml:4"},
		"replicas[westus].state":    {"online", FromDefault},
		"proxy.limits.manifest":     {"8MiB", FromDefault},
	} {
		if v := got[field]; v.Shown() != want[0] || v.From != want[1] {
			t.Errorf("%s: %q from %s, want %q", field, v.Shown(), v.From, want)
		}
	}
}

// TestAgain: the word of the command line holds for every reading of the file, and a gateway does not find itself
// beside a replica that is gone.
func TestAgain(t *testing.T) {
	for _, tt := range []struct{ name, was, flag, is, want, wantErr string }{
		{"the file's", twoReplicas + "here: westus\n", "", twoReplicas + "here: eastus\n", "westus", ""},
		{"the command line's", twoReplicas + "here: westus\n", "eastus", twoReplicas + "here: westus\n", "eastus", ""},
		{"none", twoReplicas, "", twoReplicas + "here: westus\n", "", ""},
		{"gone", twoReplicas, "eastus", smallest, "",
			`f.yaml:1: here: is until a restart what it was at the start, and that names no replica; did you mean westus? (got "eastus")`},
	} {
		c, next := parsed(t, tt.was), parsed(t, tt.is)
		if tt.flag != "" {
			if err := c.SetHere(tt.flag); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.Again(next)
		if errText(err) != tt.wantErr || err == nil && got.Here != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		for _, change := range c.ChangesBy(next.Values()) {
			if change.Field == "here" && tt.flag != "" {
				t.Errorf("%s: %v", tt.name, change)
			}
		}
	}
}

// TestNoValueIsLeftOut: each key of the schema has a value in a file that has every section.
func TestNoValueIsLeftOut(t *testing.T) {
	full := load(t, "testdata/valid-limits.yaml")
	full.Proxy.TLS = &TLS{}
	keys := map[string]bool{"proxy.tls.acme": true}
	for _, v := range full.Values() {
		keys[keyOf(v.Field)], keys[keyOf(v.Group)] = true, true
		if v.From == "" {
			t.Errorf("%s comes from nowhere", v.Field)
		}
	}
	for key := range restarts {
		if !keys[key] {
			t.Errorf("%s is not shown", key)
		}
	}
}

// TestClusterKeyBeginsWithARestart: members cannot begin, or end, to encrypt one by one; another key is live.
func TestClusterKeyBeginsWithARestart(t *testing.T) {
	dir := t.TempDir()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	write(t, filepath.Join(dir, "one.key"), key)
	write(t, filepath.Join(dir, "two.key"), key)
	with := func(name string) *Config {
		cluster := "cluster: {listen: '127.0.0.1:7000', peers: ['127.0.0.2:7000']}\n"
		if name != "" {
			cluster = "cluster: {listen: '127.0.0.1:7000', peers: ['127.0.0.2:7000'], key: " + filepath.Join(dir, name) + "}\n"
		}
		return parsed(t, smallest+"state: "+dir+"\n"+cluster)
	}
	for _, test := range []struct {
		was, is, inForce string
		restart          bool
	}{
		{"", "one.key", "", true},
		{"one.key", "", "one.key", true},
		{"one.key", "two.key", "two.key", false},
	} {
		was, is := with(test.was), with(test.is)
		changes := Changes(was, is)
		if len(changes) != 1 || changes[0].Field != "cluster.key" || changes[0].Restart != test.restart {
			t.Errorf("%q to %q: %+v", test.was, test.is, changes)
		}
		got := was.Applicable(is)
		if inForce := filepath.Base(got.Cluster.Key); inForce != filepath.Base(test.inForce) {
			t.Errorf("%q to %q: %q is in force", test.was, test.is, inForce)
		}
		if is.Cluster.Key != with(test.is).Cluster.Key {
			t.Errorf("%q to %q: the file itself was changed", test.was, test.is)
		}
	}
}
