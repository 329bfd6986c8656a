package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles/keyfilestest"
)

// watched is a folder in which a watch sees what a test does.
type watched struct {
	t    *testing.T
	dir  string
	when time.Time // of the file that was written last; the clock of a file system may stand still between two
}

func (w *watched) path(name string) string { return filepath.Join(w.dir, name) }

func (w *watched) do(errs ...error) {
	w.t.Helper()
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) write(name, content string) {
	w.t.Helper()
	w.when = w.when.Add(time.Second)
	w.do(os.MkdirAll(filepath.Dir(w.path(name)), 0o700), os.WriteFile(w.path(name), []byte(content), 0o600),
		os.Chtimes(w.path(name), w.when, w.when))
}

func (w *watched) replace(name, content string) {
	w.t.Helper()
	w.write("new", content)
	w.do(os.Rename(w.path("new"), w.path(name)))
}

// mount makes what Kubernetes makes of a ConfigMap.
func (w *watched) mount(version, content string) {
	w.t.Helper()
	w.write(filepath.Join(version, "f.yaml"), content)
	w.do(os.Symlink(version, w.path("..new")), os.Rename(w.path("..new"), w.path("..data")))
}

func withTTL(ttl string) string { return smallest + "dns: {ttl: " + ttl + "}\n" }

func TestWatch(t *testing.T) {
	nothing := func(*watched) {}
	type step struct {
		do    func(*watched)
		looks int
		want  string // what the looks took: times to live, or rules
	}
	first := func(w *watched) { w.write("f.yaml", withTTL("10s")) }
	for _, tt := range []struct {
		name  string
		first func(*watched)
		steps []step
	}{
		{"nothing changes", first, []step{{nothing, 5, ""}}},
		{"written again as it was", first, []step{{first, 5, ""}}},
		{"a rename", first, []step{
			{func(w *watched) { w.replace("f.yaml", withTTL("20s")) }, 1, ""},
			{nothing, 1, "20s"},
			{nothing, 5, ""},
		}},
		{"in place, of the same length", first, []step{{func(w *watched) { w.write("f.yaml", withTTL("20s")) }, 5, "20s"}}},
		{"in place, written for long", first, []step{
			{func(w *watched) { w.write("f.yaml", "") }, 1, ""},
			{func(w *watched) { w.write("f.yaml", smallest) }, 1, ""},
			{func(w *watched) { w.write("f.yaml", withTTL("20s")) }, 1, ""},
			{nothing, 1, "20s"},
		}},
		{"half of it, which stays", first, []step{
			{func(w *watched) { w.write("f.yaml", alone) }, 5, "replicas: is missing"},
			{func(w *watched) { w.write("f.yaml", withTTL("20s")) }, 5, "20s"},
		}},
		{"truncated", first, []step{{func(w *watched) { w.write("f.yaml", "") }, 5, "the file is empty"}}},
		{"it vanishes, and returns", first, []step{
			{func(w *watched) { w.do(os.Remove(w.path("f.yaml"))) }, 5, "no such file or directory"},
			{nothing, 5, ""},
			{first, 5, "10s"},
		}},
		{"it vanishes for a moment", first, []step{
			{func(w *watched) { w.do(os.Rename(w.path("f.yaml"), w.path("f.yaml~"))) }, 1, ""},
			{func(w *watched) { w.write("f.yaml", withTTL("20s")) }, 2, "20s"},
		}},
		{"behind a symbolic link", func(w *watched) {
			w.mount("..1", withTTL("10s"))
			w.do(os.Symlink("..data/f.yaml", w.path("f.yaml")))
		}, []step{
			{func(w *watched) { w.mount("..2", withTTL("20s")); w.do(os.RemoveAll(w.path("..1"))) }, 5, "20s"},
			{func(w *watched) { w.mount("..3", withTTL("1")) }, 5, "needs a duration with a unit, such as 90s or 5m"},
			{func(w *watched) { w.mount("..4", withTTL("30s")) }, 5, "30s"},
		}},
		{"a link that leads elsewhere", func(w *watched) {
			w.write("a", withTTL("10s"))
			w.write("b", withTTL("20s"))
			w.do(os.Symlink("a", w.path("f.yaml")))
		}, []step{{func(w *watched) { w.do(os.Remove(w.path("f.yaml")), os.Symlink("b", w.path("f.yaml"))) }, 5, "20s"}}},
		{"replicas.d", func(w *watched) {
			w.write("f.yaml", strings.Replace(withTTL("10s"), `internal"}`, `internal", home: true}`, 1))
		}, []step{
			{func(w *watched) { w.write("replicas.d/a.yaml", partText("apac", "203.0.113.12")) }, 5, "10s apac"},
			{func(w *watched) { w.write("replicas.d/.a.yaml.swp", "x") }, 5, ""},
			{func(w *watched) { w.write("replicas.d/a.yaml", partText("japan", "203.0.113.12")) }, 5, "10s japan"},
			{func(w *watched) { w.write("replicas.d/b.yaml", "x") }, 5, "must be a mapping, not text"},
			{func(w *watched) { w.do(os.Remove(w.path("replicas.d/b.yaml"))) }, 5, "10s japan"},
			{func(w *watched) { w.do(os.RemoveAll(w.path("replicas.d"))) }, 5, "10s"},
		}},
		{"a file that it names", func(w *watched) {
			keyfilestest.WritePair(w.dir, "one")
			w.write("f.yaml", strings.Replace(withTTL("10s"), "{name", "{ca: one.pem, name", 1))
		}, []step{
			{func(w *watched) { w.write("one.pem", "x") }, 5, "holds no certificate in PEM form"},
			{func(w *watched) { w.do(os.Remove(w.path("one.pem"))) }, 5, "must name a regular file: no such file or directory"},
			{func(*watched) {}, 5, ""},
			{func(w *watched) { keyfilestest.WritePair(w.dir, "one") }, 5, "10s"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &watched{t: t, dir: t.TempDir(), when: time.Now().Add(-time.Hour).Truncate(time.Second)}
			tt.first(w)
			watch := NewWatch(w.path("f.yaml"))
			if _, err := watch.Take(); err != nil {
				t.Fatal(err)
			}
			for i, s := range tt.steps {
				s.do(w)
				var got []string
				for range s.looks {
					if c, changed, err := watch.Look(time.Now()); changed {
						got = append(got, tookText(c, err))
					}
				}
				if strings.Join(got, "; ") != s.want {
					t.Errorf("step %d: took %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

func tookText(c *Config, err error) string {
	var problems Problems
	switch {
	case errors.As(err, &problems) && problems[0].Rule == ruleMissing:
		return problems[0].Field + ": " + problems[0].Rule
	case errors.As(err, &problems):
		return problems[0].Rule
	case err != nil:
		return err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
	}
	text := brief(c.DNS.TTL)
	for _, r := range c.Replicas[1:] {
		text += " " + r.Name
	}
	return text
}

// TestWatchOfOneTime: a file system whose clock stands still between two edits of the same length hides none.
func TestWatchOfOneTime(t *testing.T) {
	w := &watched{t: t, dir: t.TempDir()}
	at := time.Now()
	write := func(ttl string) {
		w.do(os.WriteFile(w.path("f.yaml"), []byte(withTTL(ttl)), 0o600), os.Chtimes(w.path("f.yaml"), at, at))
	}
	write("10s")
	watch := NewWatch(w.path("f.yaml"))
	if _, err := watch.Take(); err != nil {
		t.Fatal(err)
	}
	write("20s")
	got := ""
	for i := range 3 {
		if c, changed, _ := watch.Look(at.Add(time.Duration(i) * time.Second)); changed {
			got = fmt.Sprint(c.DNS.TTL)
		}
	}
	if got != "20s" {
		t.Errorf("took %q", got)
	}
}

// TestTake: who asks at once gets what is there at once, once.
func TestTake(t *testing.T) {
	w := &watched{t: t, dir: t.TempDir(), when: time.Now().Add(-time.Hour)}
	w.write("f.yaml", withTTL("10s"))
	watch := NewWatch(w.path("f.yaml"))
	for _, ttl := range []string{"10s", "20s", "1"} {
		w.write("f.yaml", withTTL(ttl))
		c, err := watch.Take()
		if (err == nil) != (ttl != "1") || err == nil && brief(c.DNS.TTL) != ttl {
			t.Errorf("%s: %v", ttl, err)
		}
		for range 3 {
			if _, changed, _ := watch.Look(time.Now()); changed {
				t.Errorf("%s is taken twice", ttl)
			}
		}
	}
}

// TestNoiseBesideAnEdit: a file that others write beside the parts, again and again, keeps no edit waiting.
func TestNoiseBesideAnEdit(t *testing.T) {
	w := &watched{t: t, dir: t.TempDir(), when: time.Now().Add(-time.Hour)}
	w.write("f.yaml", withTTL("10s"))
	watch := NewWatch(w.path("f.yaml"))
	if _, err := watch.Take(); err != nil {
		t.Fatal(err)
	}
	w.replace("f.yaml", withTTL("20s"))
	taken := 0
	for range 4 {
		w.write("replicas.d/.keep", "x")
		w.when = w.when.Add(time.Second)
		w.do(os.Chtimes(w.path("replicas.d"), w.when, w.when))
		if c, changed, err := watch.Look(time.Now()); changed {
			if taken++; err != nil || c.DNS.TTL != 20*time.Second {
				t.Error(c, err)
			}
		}
	}
	if taken != 1 {
		t.Errorf("taken %d times", taken)
	}
}

// TestNamedFileThatNeverRests: an edit does not wait for ever because a file that is named changes again and again.
func TestNamedFileThatNeverRests(t *testing.T) {
	w := &watched{t: t, dir: t.TempDir(), when: time.Now().Add(-time.Hour)}
	keyfilestest.WritePair(w.dir, "one")
	trust, err := os.ReadFile(w.path("one.pem"))
	w.do(err)
	w.write("trust.pem", string(trust))
	named := withTTL("10s") + "webhooks_ca: trust.pem\n"
	w.write("f.yaml", named)
	watch := NewWatch(w.path("f.yaml"))
	if _, err := watch.Take(); err != nil {
		t.Fatal(err)
	}
	w.replace("f.yaml", strings.Replace(named, "10s", "20s", 1))
	taken := 0
	for range 2 * mostCalm {
		w.replace("trust.pem", fmt.Sprintf("%s# %s\n", trust, w.when))
		if c, changed, err := watch.Look(time.Now()); changed {
			if taken++; err != nil || c.DNS.TTL != 20*time.Second {
				t.Error(c, err)
			}
		}
	}
	if taken != 1 {
		t.Errorf("taken %d times", taken)
	}
}
