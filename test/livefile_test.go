package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestLiveFile: a gateway goes by its file as it is now, takes of an edit all that it can, and nothing of one that is
// wrong.
func TestLiveFile(t *testing.T) {
	t.Parallel()
	replicas := []replica{
		{name: "west", place: "azure/westus", address: "127.0.1.1", home: true},
		{name: "europe", place: "azure/westeurope", address: "127.0.1.2"},
	}
	for i := range replicas {
		replicas[i].upstream = "http://" + startFake(t, func(*http.Request) int { return http.StatusNotFound }).address
	}
	g := startGateway(t, "gateway", "127.0.0.1", file{
		health: "{fronts: false}", replicas: replicas, networks: []network{{"10.1.0.0/16", "azure/westus"}},
	})
	admin := "--admin=http://" + g.admin
	text := g.String()
	edit := func(old, now string) {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("the file has no %q", old)
		}
		text = strings.Replace(text, old, now, 1)
		replace(t, g.config, text)
	}
	shows := func(key, want string) error {
		out, code := fairlead(t, "config", "show", admin)
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(key) + ` .*$`).FindString(out)
		if code != 0 || !strings.Contains(line, want) {
			return fmt.Errorf("%d, %s: %q, want %q", code, key, line, want)
		}
		return nil
	}
	waitShown := func(key, want string) {
		t.Helper()
		waitFor(t, startBound, key, func() error { return shows(key, want) })
	}
	sentTo := func(want string) {
		t.Helper()
		if got, err := addressOf(g.dns, "10.1.2.0/24"); err != nil || got != want {
			t.Errorf("clients are sent to %s, %v, want %s", got, err, want)
		}
	}
	must(t, shows("replicas[west].bias", "default"))
	sentTo("127.0.1.1")

	// By a rename, seen without being told.
	edit("home: true", "home: true, bias: 900")
	waitShown("replicas[west].bias", "900")
	must(t, shows("replicas[west].bias", g.config+":"))
	sentTo("127.0.1.2")

	// A bad edit changes nothing, and is told.
	good := text
	edit("bias: 900", "bias: 9000")
	note := regexp.MustCompile(`\[!\] what the file says is in force: ` + regexp.QuoteMeta(g.config) +
		`:\d+: replicas\[0\]\.bias: must be from -1000 to 1000 milliseconds\n`)
	waitFor(t, startBound, "the note", func() error {
		if ready := g.adminText(t, "/readyz?verbose"); !note.MatchString(ready) {
			return errors.New(ready)
		}
		return nil
	})
	must(t, shows("replicas[west].bias", "900"))
	sentTo("127.0.1.2")
	if !containsAll(g.output(), []string{"field=replicas[0].bias", "value=9000", "file=" + g.config, "line="}) {
		t.Error("the log does not say what is wrong")
	}
	if out, code := fairlead(t, "reload", admin); code != 1 || !strings.Contains(out, `replicas[0].bias: must be from -1000 to 1000 milliseconds (got "9000")`) {
		t.Errorf("reload: %d %s", code, out)
	}
	if n := g.metric(t, "fairlead_config_loads_total", `result="refused"`); n != 2 {
		t.Errorf("%v readings were refused, want 2", n)
	}
	if n := g.metric(t, "fairlead_config_last_load_refused"); n != 1 {
		t.Errorf("refused: %v", n)
	}

	// What needs a restart is said, and all else of the edit counts. Told by the command, which does not wait.
	text = good
	elsewhere := freeAddress(t, "127.0.0.1")
	text = strings.Replace(text, g.dns, elsewhere, 1)
	edit("bias: 900", "bias: -10")
	out, code := fairlead(t, "reload", admin)
	if code != 0 || !regexp.MustCompile(`dns\.listen +`+g.dns+` +`+elsewhere+` +needs a restart`).MatchString(out) ||
		!regexp.MustCompile(`replicas\[west\]\.bias +900 +-10`).MatchString(out) {
		t.Errorf("reload: %d %s", code, out)
	}
	sentTo("127.0.1.1")
	must(t, shows("dns.listen", g.dns))
	must(t, shows("dns.listen", "the last start"))
	if ready := g.adminText(t, "/readyz?verbose"); !strings.Contains(ready, "needs a restart: dns.listen") || strings.Contains(ready, "[-]") {
		t.Errorf("ready: %s", ready)
	}

	// SIGHUP, of an edit in place.
	text = strings.Replace(text, "bias: -10", "bias: 901", 1)
	text = strings.Replace(text, elsewhere, g.dns, 1)
	writeFile(t, g.config, text)
	g.signal(syscall.SIGHUP)
	waitShown("replicas[west].bias", "901")
	sentTo("127.0.1.2")

	// Another file is compared, and changes nothing.
	other := filepath.Join(t.TempDir(), "other.yaml")
	writeFile(t, other, strings.Replace(strings.Replace(text, "bias: 901", "bias: 1", 1), g.admin, elsewhere, 1))
	out, code = fairlead(t, "config", "diff", other, admin)
	if code != 0 || !regexp.MustCompile(`replicas\[west\]\.bias +901 +1`).MatchString(out) ||
		!regexp.MustCompile(`admin\.listen .* needs a restart`).MatchString(out) {
		t.Errorf("diff: %d %s", code, out)
	}
	must(t, shows("replicas[west].bias", "901"))
	writeFile(t, other, strings.Replace(text, "bias: 901", "bias: x", 1))
	if out, code = fairlead(t, "config", "diff", other, admin); code != 1 || !strings.Contains(out, "replicas[0].bias: must be a number") {
		t.Errorf("diff of a file that is wrong: %d %s", code, out)
	}
	if out, code = fairlead(t, "config", "diff", g.config, admin); code != 0 || !strings.Contains(out, "nothing would change") {
		t.Errorf("diff of the same file: %d %s", code, out)
	}

	// The file goes away, and comes back.
	must(t, os.Rename(g.config, g.config+"~"))
	waitFor(t, startBound, "the word of a file that is gone", func() error {
		if ready := g.adminText(t, "/readyz?verbose"); !strings.Contains(ready, "no such file") {
			return errors.New(ready)
		}
		return nil
	})
	sentTo("127.0.1.2")
	must(t, os.Rename(g.config+"~", g.config))
	waitFor(t, startBound, "the file to be right again", func() error {
		if ready := g.adminText(t, "/readyz?verbose"); strings.Contains(ready, "[!]") {
			return errors.New(ready)
		}
		return nil
	})
}

// TestLiveReplicasFolder: a replica comes, changes and goes by a file of its own.
func TestLiveReplicasFolder(t *testing.T) {
	t.Parallel()
	upstream := func() string {
		return "http://" + startFake(t, func(*http.Request) int { return http.StatusNotFound }).address
	}
	g := startGateway(t, "gateway", "127.0.0.1", file{health: "{fronts: false}", replicas: []replica{
		{name: "west", place: "azure/westus", address: "127.0.1.1", home: true, upstream: upstream()},
	}})
	admin := "--admin=http://" + g.admin
	part := filepath.Join(filepath.Dir(g.config), "replicas.d", "europe.yaml")
	must(t, os.Mkdir(filepath.Dir(part), 0o700))
	writeFile(t, part, "name: europe\nplace: azure/westeurope\naddresses: [127.0.1.2]\nupstream: "+upstream()+"\nbias: x\n")
	if out, code := fairlead(t, "reload", admin); code != 1 || !strings.Contains(out, part+":5: bias: must be a number") {
		t.Errorf("a part that is wrong: %d %s", code, out)
	}
	if out, code := fairlead(t, "status", admin); code != 1 || !strings.Contains(out, part+":5: bias: must be a number") {
		t.Errorf("the status with a part that is wrong: %d %s", code, out)
	}
	data, err := os.ReadFile(part)
	must(t, err)
	replace(t, part, strings.Replace(string(data), "bias: x", "bias: 7", 1))
	taken := func(what string) {
		t.Helper()
		if out, code := fairlead(t, "reload", admin); code != 0 || !strings.Contains(out, "replicas[europe]") &&
			!strings.Contains(out, "nothing has changed") { // it was taken before it was asked for
			t.Errorf("%s: %d %s", what, code, out)
		}
	}
	taken("a part that is right")
	if out, code := fairlead(t, "replication", "show", "europe", admin); code != 0 || !strings.Contains(out, "online") {
		t.Errorf("what is known of it: %d %s", code, out)
	}
	if out, code := fairlead(t, "config", "show", admin); code != 0 || !regexp.MustCompile(
		`replicas\[europe\]\.bias +7 +`+regexp.QuoteMeta(part)+`:5`).MatchString(out) {
		t.Errorf("show: %d %s", code, out)
	}
	must(t, os.Remove(part))
	taken("a part that is gone")
	if out, code := fairlead(t, "config", "show", admin); code != 0 || strings.Contains(out, "europe.yaml") {
		t.Errorf("show without it: %d %s", code, out)
	}
}
