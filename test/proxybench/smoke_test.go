package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// small is a run that shows whether all works and says nothing of what it costs.
func small(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parse(append([]string{"-rounds", "1", "-blob", "1", "-mib", "4", "-streams", "2", "-requests", "40",
		"-uploads", "20", "-upload", "1", "-rate", "100", "-time", "500ms", "-source", "../.."}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func printed(t *testing.T, o options) string {
	t.Helper()
	var out strings.Builder
	if err := o.run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "SKIPPED") {
			t.Log(line)
		}
	}
	return out.String()
}

// TestCases: every case runs with every peer that is installed, and is profiled.
func TestCases(t *testing.T) {
	profiles := t.TempDir()
	out := printed(t, small(t, "-profile", profiles))
	for _, c := range allCases() {
		if !strings.Contains(out, "| "+c.name+" | fairlead | ") {
			t.Errorf("no line of %q in\n%s", c.name, out)
		}
		if info, err := os.Stat(filepath.Join(profiles, profileName(c, 0))); err != nil || info.Size() == 0 {
			t.Errorf("no profile of %q: %v", c.name, err)
		}
	}
}

// TestAlone: what is measured of fairlead alone, and with a real registry.
func TestAlone(t *testing.T) {
	program, err := buildProfiled(t.Context(), "../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"memory":          {[]string{"-memory"}, "| http: 20 uploads of 1 MiB in 500ms, "},
		"memory in TLS":   {[]string{"-memory", "-tls"}, "| https: 20 uploads of 1 MiB in 500ms, "},
		"DNS":             {[]string{"-dns"}, "| an idle one at the same time | 50 | 100 | "},
		"a real registry": {[]string{"-backend", "distribution", "-cases", "^pull|^push|tag"}, "| pull | fairlead | "},
	} {
		t.Run(name, func(t *testing.T) {
			if out := printed(t, small(t, append(c.args, "-fairlead", program)...)); !strings.Contains(out, c.want) {
				t.Errorf("%q is not in\n%s", c.want, out)
			}
		})
	}
}

// TestCPU: nginx works in its children.
func TestCPU(t *testing.T) {
	p, err := begin(t.Context(), t.TempDir(), "parent", nil, "sh", "-c", "while :; do :; done & wait")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(startBound); ; time.Sleep(time.Millisecond) {
		used, err := p.cpu()
		if err != nil {
			t.Fatal(err)
		}
		if used > 100*time.Millisecond { // more than sh needs to begin it
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a child that works counts as %v", used)
		}
	}
}
