package test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fairlead runs a command to its end.
func fairlead(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	return ran(t, built(t, fairleadProgram), args...)
}

// explain does with the program that is shipped: it unpacks the table that is built in, which takes three seconds under
// the race detector.
func explain(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	return ran(t, built(t, shippedProgram), append([]string{"explain"}, args...)...)
}

func ran(t testing.TB, program string, args ...string) (out string, code int) {
	t.Helper()
	env := []string{"GORACE=atexit_sleep_ms=0"} // by default the race detector holds every exit up for a second
	out, err := command(t, env, program, args...)
	if err == nil {
		return out, 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err.Error(), exit.ExitCode()
}

func TestCheck(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	writeFile(t, bad, `hostname: registry.example.test
dns: {listen: [":53"], nameservers: [ns1.example.test], ttl: 0s}
proxy: {listen: [":443"], colour: blue}
replicas:
  - {name: one, place: azure/westeurop, addresses: [203.0.113.1], upstream: "https://user@a.example.test/path", home: true}
  - {name: one, place: {lat: 91, lon: 0}, addresses: [203.0.113.1], upstream: "https://b.example.test"}
  - {name: three, place: azure/eastus, addresses: [203.0.113.3], upstream: "https://c.example.test", home: true}
`)
	for _, c := range []struct {
		file string
		code int
		want []string // parts of what it prints
	}{
		{"../configs/demo.yaml", 0, []string{"ok"}},
		{"../configs/fairlead.yaml", 0, []string{"ok"}},
		{bad, 1, []string{
			bad + ":2: dns.ttl: ", bad + ":3: proxy.colour: ", bad + ":5: replicas[0].place: ", "azure/westeurope",
			bad + ":5: replicas[0].upstream: ", bad + ":6: replicas[1].name: ", bad + ":6: replicas[1].place.lat: ",
			bad + ":6: replicas[1].addresses[0]: ", bad + ":7: replicas[2].home: ",
		}},
		{filepath.Join(t.TempDir(), "absent.yaml"), 1, []string{"absent.yaml"}},
		{t.TempDir(), 1, []string{"directory"}},
	} {
		out, code := fairlead(t, "check", c.file)
		if code != c.code {
			t.Errorf("check %s: exit code %d, want %d", c.file, code, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("check %s does not say %q:\n%s", c.file, want, out)
			}
		}
	}
}

// TestCheckInvalid: every file that breaks a rule is refused by check and by serve, with the line.
func TestCheckInvalid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../configs/testdata/invalid-*.yaml")
	must(t, err)
	if len(files) < 20 {
		t.Fatalf("only %d files", len(files))
	}
	for i, file := range files {
		if i%few(20, 4) > 0 {
			continue
		}
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(file) + `:\d+: `)
		if out, code := fairlead(t, "check", file); code != 1 || !line.MatchString(out) {
			t.Errorf("check %s: exit code %d:\n%s", file, code, out)
		}
	}
	if out, code := fairlead(t, "serve", "--config", files[0]); code != 1 || !strings.Contains(out, files[0]+":") {
		t.Errorf("serve %s: exit code %d:\n%s", files[0], code, out)
	}
}

func TestCheckLive(t *testing.T) {
	t.Parallel()
	sites := startSites(t, 100)
	f := sites[0].gateway.file
	live := func(f file) (string, int) {
		name := filepath.Join(t.TempDir(), "live.yaml")
		writeFile(t, name, f.String())
		return fairlead(t, "check", "--live", name)
	}
	out, code := live(f)
	if code != 0 {
		t.Errorf("all is well, but exit code %d:\n%s", code, out)
	}
	for i, s := range sites {
		for _, want := range []string{f.replicas[i].name + " upstream " + s.registry.url(), f.replicas[i].name +
			" front " + s.gateway.listen} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
	}

	locked := f
	locked.replicas = append(f.replicas[:2:2], f.replicas[2])
	locked.replicas[2].upstream = startLocked(t, "locked").url()
	if out, code := live(locked); code != 1 || !strings.Contains(out, "Basic") ||
		!strings.Contains(out, f.replicas[2].name) {
		t.Errorf("challenges differ, exit code %d:\n%s", code, out)
	}

	sites[1].registry.kill()
	if out, code := live(f); code != 1 || !strings.Contains(out, sites[1].registry.url()+": ") {
		t.Errorf("an upstream is dead, exit code %d:\n%s", code, out)
	}
}

// explanation is the shape that is promised to scripts. Fields that the promise does not name are an error, and so are
// fields that are missing.
type explanation struct {
	Client *string `json:"client"`
	Place  *struct {
		Lat     *float64 `json:"lat"`
		Lon     *float64 `json:"lon"`
		Country *string  `json:"country"`
		Cell    *string  `json:"cell"`
		Source  *string  `json:"source"`
		From    *string  `json:"from"`
	} `json:"place"`
	Scope    *string             `json:"scope"`
	Replicas *[]explainedReplica `json:"replicas"`
	Chosen   *string             `json:"chosen"`
	Reason   *string             `json:"reason"`
	Lease    *lease              `json:"lease"`
	Arbiter  *string             `json:"arbiter"`
}

type explainedReplica struct {
	Name       *string          `json:"name"`
	ExpectedMS *float64         `json:"expected_ms"`
	BiasMS     *float64         `json:"bias_ms"`
	MeasuredMS *json.RawMessage `json:"measured_ms"`
	State      *string          `json:"state"`
	Reason     *string          `json:"reason"`
}

// explainJSON runs explain on a file and holds its output to the shape.
func explainJSON(t testing.TB, config string, args ...string) explanation {
	t.Helper()
	out, code := explain(t, append([]string{"--config", config, "-o", "json"}, args...)...)
	if code != 0 {
		t.Fatal(out)
	}
	var keys map[string]json.RawMessage
	must(t, json.Unmarshal([]byte(out), &keys))
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	var e explanation
	must(t, decoder.Decode(&e))
	if len(keys) != 8 || e.Client == nil || e.Place == nil || e.Scope == nil || e.Replicas == nil || e.Chosen == nil ||
		e.Reason == nil {
		t.Fatalf("a key is missing:\n%s", out)
	}
	if p := e.Place; p.Lat == nil || p.Lon == nil || p.Country == nil || p.Source == nil || p.From == nil ||
		p.Cell == nil {
		t.Fatalf("a key of place is missing:\n%s", out)
	}
	for _, r := range *e.Replicas {
		if r.Name == nil || r.ExpectedMS == nil || r.BiasMS == nil || r.State == nil || r.Reason == nil {
			t.Fatalf("a key of a replica is missing:\n%s", out)
		}
	}
	if strings.Count(out, `"measured_ms"`) != len(*e.Replicas) {
		t.Fatalf("measured_ms is missing:\n%s", out)
	}
	return e
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args           []string
		chosen, reason string
	}{
		{[]string{"--client", "127.0.1.7"}, "westus", "nearest"},
		{[]string{"--client", "127.0.2.7"}, "eastus", "nearest"},
		{[]string{"--client", "127.0.3.7"}, "canadacentral", "nearest"},
		{[]string{"--client", "127.0.4.7"}, "westeurope", "nearest"},
		{[]string{"--client", "10.1.2.3"}, "westus", "nearest"}, // nobody can place it: it counts as being at home
		{[]string{"--at", "52.37,4.9"}, "westeurope", "nearest"},
		{[]string{"--at", "43.65,-79.38", "--repository", "app", "--write"}, "canadacentral", "nearest"},
	}[few(4, 0):] {
		e := explainJSON(t, "../configs/demo.yaml", c.args...)
		if *e.Chosen != c.chosen || *e.Reason != c.reason || len(*e.Replicas) != 4 {
			t.Errorf("explain %v: %s (%s), %d replicas", c.args, *e.Chosen, *e.Reason, len(*e.Replicas))
		}
		last := -1e9
		for _, r := range *e.Replicas {
			if *r.ExpectedMS < last {
				t.Errorf("explain %v: %s comes before what is nearer", c.args, *r.Name)
			}
			last = *r.ExpectedMS
		}
		if table, _ := explain(t, append([]string{"--config", "../configs/demo.yaml"},
			c.args...)...); !strings.Contains(table, c.chosen) {
			t.Errorf("the table of explain %v does not name %s:\n%s", c.args, c.chosen, table)
		}
	}
	for _, args := range [][]string{
		{}, {"--client", "nobody"}, {"--at", "91,0"}, {"--at", "52"}, {"--client", "127.0.1.7", "--at", "0,0"},
		{"--client", "127.0.1.7", "-o", "xml"},
	} {
		if out, code := explain(t, append([]string{"--config", "../configs/demo.yaml"}, args...)...); code != 1 {
			t.Errorf("explain %v: exit code %d: %s", args, code, out)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, code := fairlead(t, "version")
	goVersion, err := goCommand(".", "env", "GOVERSION")
	must(t, err)
	for _, want := range []string{"fairlead", "commit", goVersion, "geo"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q:\n%s", code, want, out)
		}
	}
}
