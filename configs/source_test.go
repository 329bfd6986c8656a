package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files in a new folder, "->NAME" a symbolic link, and returns the folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(name), 0o700)
		if to, link := strings.CutPrefix(content, "->"); link {
			err = errors.Join(err, os.Symlink(to, name))
		} else {
			err = errors.Join(err, os.WriteFile(name, []byte(content), 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	alone = "hostname: registry.contoso.com\n"
	// partOf is a file of replicas.d.
	partOf = "name: %[1]s\nplace: azure/eastus\naddresses: [%[2]s]\nupstream: https://registry.%[1]s.internal\n"
)

func partText(name, address string) string { return fmt.Sprintf(partOf, name, address) }

func TestReplicasFolder(t *testing.T) {
	eastus, apac := partText("eastus", "203.0.113.11"), partText("apac", "203.0.113.12")
	withHome := strings.Replace(smallest, `internal"}`, `internal", home: true}`, 1)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // names of replicas, or the problems without the folder
	}{
		{"none", map[string]string{"f.yaml": smallest}, "westus"},
		{"empty", map[string]string{"f.yaml": smallest, "replicas.d/README": ""}, "westus"},
		{"by name", map[string]string{"f.yaml": withHome, "replicas.d/2.yml": eastus, "replicas.d/1.yaml": apac}, "westus apac eastus"},
		{"nothing in the file", map[string]string{"f.yaml": alone, "replicas.d/a.yaml": apac}, "apac"},
		{"an empty list in the file", map[string]string{"f.yaml": alone + "replicas: []\n", "replicas.d/a.yaml": apac}, "apac"},
		{"a ConfigMap", map[string]string{"f.yaml": alone, "replicas.d/..1/a.yaml": apac, "replicas.d/..data": "->..1",
			"replicas.d/a.yaml": "->..data/a.yaml"}, "apac"},
		{"editors' leftovers", map[string]string{"f.yaml": alone, "replicas.d/a.yaml": apac, "replicas.d/.a.yaml.swp": "x", "replicas.d/a.yaml~": "x",
			"replicas.d/.#a.yaml": "x", "replicas.d/#a.yaml#": "x", "replicas.d/4913": "x", "replicas.d/a.yaml.bak": "x"}, "apac"},

		{"no replica at all", map[string]string{"f.yaml": alone, "replicas.d/README": ""}, "f.yaml:1: replicas: is missing"},
		{"a wrong value", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": apac + "bias: 2000\n"},
			`replicas.d/a.yaml:5: bias: must be from -1000 to 1000 milliseconds (got "2000")`},
		{"an unknown key", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": apac + "biass: 1\n"},
			`replicas.d/a.yaml:5: biass: unknown key; did you mean bias?`},
		{"a key that is left out", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": strings.Replace(apac, "place", "#", 1)},
			`replicas.d/a.yaml:1: place: is missing`},
		{"no mapping", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": "- a\n"}, `replicas.d/a.yaml:1: must be a mapping, not a list`},
		{"no YAML", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": "a\n  b: [\n"},
			`replicas.d/a.yaml:2: is not YAML: mapping values are not allowed in this context`},
		{"half of a file", map[string]string{"f.yaml": alone, "replicas.d/a.yaml": ""}, `replicas.d/a.yaml:1: the file is empty`},
		{"the same name", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": partText("westus", "203.0.113.12")},
			`replicas.d/a.yaml:1: name: is the same as replicas[0].name of f.yaml:4 (got "westus")` + "\n" +
				`replicas.d/a.yaml:4: upstream: is the same as replicas[0].upstream of f.yaml:4 (got "https://registry.westus.internal")`},
		{"the same address twice there", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": apac, "replicas.d/b.yaml": partText("eastus", "203.0.113.12")},
			`replicas.d/b.yaml:3: addresses[0]: is the same as addresses[0] of replicas.d/a.yaml:3 (got "203.0.113.12")`},
		{"two homes", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": apac + "home: true\n"},
			`replicas.d/a.yaml:5: home: only one replica can be the home, and replicas[0] of f.yaml:4 is (got "true")`},
		{"no home", map[string]string{"f.yaml": smallest, "replicas.d/a.yaml": apac}, "f.yaml:3: replicas: one replica must be the home: set home: true"},
		{"no home there", map[string]string{"f.yaml": alone, "replicas.d/a.yaml": apac, "replicas.d/b.yaml": eastus},
			"replicas.d: replicas: one replica must be the home: set home: true"},
		{"the file, too", map[string]string{"f.yaml": withHome + "dns: {ttl: 1}\n", "replicas.d/a.yaml": apac + "bias: x\n"},
			"f.yaml:5: dns.ttl: needs a duration with a unit, such as 90s or 5m (got \"1\")\n" +
				`replicas.d/a.yaml:5: bias: must be a number, not text (got "x")`},
		{"a folder", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml/b": ""}, "replicas.d/a.yaml: must name a regular file: it is a directory"},
		{"a link to nothing", map[string]string{"f.yaml": alone, "replicas.d/a.yaml": "->gone"},
			"replicas.d/a.yaml: must name a regular file: no such file or directory"},
		{"a file in the place of the folder", map[string]string{"f.yaml": withHome, "replicas.d": "x"}, "replicas.d: cannot be read: it is a file"},
		{"too much", map[string]string{"f.yaml": withHome, "replicas.d/a.yaml": strings.Repeat("#", 600<<10) + "\n" + apac,
			"replicas.d/b.yaml": strings.Repeat("#", 600<<10)}, "replicas.d/b.yaml: makes all of replicas.d larger than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, tt.files)
			c, err := Load(filepath.Join(dir, "f.yaml"))
			got := strings.ReplaceAll(errText(err), dir+"/", "")
			if err == nil {
				var names []string
				for _, r := range c.Replicas {
					names = append(names, r.Name)
				}
				got = strings.Join(names, " ")
			}
			if got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestReplicasFolderIsBounded(t *testing.T) {
	files := map[string]string{"f.yaml": alone}
	for i := range maxReplicas + 1 {
		files[fmt.Sprintf("replicas.d/%03d.yaml", i)] = partText(fmt.Sprintf("r%d", i), fmt.Sprintf("10.0.%d.%d", i/200, 1+i%200)) +
			fmt.Sprintf("home: %v\n", i == 0)
	}
	dir := tree(t, files)
	want := fmt.Sprintf("%s/replicas.d: replicas: at most 256, not 257", dir)
	if err := errOf(Load(filepath.Join(dir, "f.yaml"))); errText(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := os.Remove(filepath.Join(dir, "replicas.d/256.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "f.yaml")); err != nil {
		t.Error(err)
	}
}

// TestReplicasFolderOrigins: values and warnings name the file that they are of.
func TestReplicasFolderOrigins(t *testing.T) {
	dir := tree(t, map[string]string{"f.yaml": alone, "replicas.d/a.yaml": partText("apac", "203.0.113.12") + "home: true\nbias: 5\n",
		"replicas.d/b.yaml": partText("eastus", `"2001:db8::1"`)})
	c := load(t, filepath.Join(dir, "f.yaml"))
	i := slices.IndexFunc(c.Values(), func(v Value) bool { return v.Field == "replicas[apac].bias" })
	if v := c.Values()[i]; v.From != filepath.Join(dir, "replicas.d/a.yaml")+":6" {
		t.Errorf("bias is from %s", v.From)
	}
	if !slices.ContainsFunc(c.Warnings(), func(p Problem) bool {
		return p.File == filepath.Join(dir, "replicas.d/b.yaml") && p.Line == 3 && p.Field == "addresses"
	}) {
		t.Errorf("warnings %v", c.Warnings())
	}
}

// FuzzReplicasFolder: whatever stands in replicas.d, what is said of it is bounded and names its file, and a
// configuration without a problem has what the rest of the program relies on.
func FuzzReplicasFolder(f *testing.F) {
	f.Add([]byte(partText("apac", "203.0.113.12")), []byte(partText("eastus", "203.0.113.11")))
	f.Add([]byte("&a [*a]"), []byte("name: &a [x]\nca: [*a, *a]"))
	f.Add([]byte("home: true\nname: west.us"), []byte(""))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		s := &Source{file: "testdata/f.yaml", data: []byte(smallest), parts: []part{{"testdata/1.yaml", one}, {"testdata/2.yaml", other}}}
		c, _, err := s.Config()
		if err != nil {
			checkProblems(t, err)
			return
		}
		checkConfig(t, c)
		c.Warnings()
		c.Values()
	})
}
