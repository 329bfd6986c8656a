package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

const smallest = `
hostname: registry.contoso.com
replicas:
  - {name: westus, place: azure/westus, addresses: [203.0.113.10], upstream: "https://registry.westus.internal"}
`

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLoadFollowsSymbolicLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data.yaml"), smallest)
	link := filepath.Join(dir, "fairlead.yaml")
	if err := os.Symlink("data.yaml", link); err != nil {
		t.Fatal(err)
	}
	c, err := Load(link)
	if err != nil {
		t.Fatal(err)
	}
	if c.File != link {
		t.Errorf("File = %q, want %q", c.File, link)
	}
}

// Opening a FIFO for reading waits until somebody writes: a start must not.
func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, want string }{
		{dir, "it is a directory"},
		{fifo, "it is a device, a socket or a named pipe"},
		{os.DevNull, "it is a device, a socket or a named pipe"},
		{filepath.Join(dir, "absent.yaml"), "no such file or directory"},
	}
	for _, tt := range tests {
		_, err := Load(tt.path)
		if err == nil || err.Error() != tt.path+": "+tt.want {
			t.Errorf("Load(%s): %v, want %s", tt.path, err, tt.want)
		}
	}
	if _, err := Load(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error of an absent file does not say so: %v", err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "large.yaml"), smallest)
	if err := os.Truncate(name, 100<<20); err != nil {
		t.Fatal(err)
	}
	wantRule(t, errOf(Load(name)), "", "larger than 1048576 bytes")
	data, err := keyfiles.Read(name)
	if err != nil || len(data) != maxFile+1 {
		t.Errorf("read %d bytes, want %d: %v", len(data), maxFile+1, err)
	}
}

func TestParseAcceptsExactlyTheLimit(t *testing.T) {
	data := append([]byte(smallest), bytes.Repeat([]byte("#"), maxFile-len(smallest))...)
	if _, err := Parse("f.yaml", data); err != nil {
		t.Error(err)
	}
	wantRule(t, errOf(Parse("f.yaml", append(data, '#'))), "", "larger than 1048576 bytes")
}

func TestEmptyAndBroken(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"no byte", "", "the file is empty"},
		{"white space", "\n \n", "the file is empty"},
		{"document start", "---\n", "the file is empty"},
		{"byte order mark", "\xef\xbb\xbf" + smallest, ""},
		{"NUL", "hostname: a\x00b", "is not YAML: control characters are not allowed"},
		{"UTF-16", "\xff\xfeh\x00o\x00", "is not UTF-8 text"},
		{"unknown anchor", "hostname: *a", "is not YAML: unknown anchor 'a' referenced"},
		{"tag", "hostname: !!binary aGk=", "must be text, not a value of another type: put it in quotes"},
		{"flag tagged", "hostname: !!bool {a: b}", "must be text, not a mapping"},
		{"null", "null", "is missing"},
		{"block depth", strings.Repeat("- ", 40) + "a", "is not YAML: exceeded max depth of 32"},
		{"loop", "hostname: registry.contoso.com\nreplicas: &r [*r]", "must be a mapping, not a list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.data))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// Constructing a document into Go values would trip the library's own guard; walking its nodes does not.
func TestAliasesThatMultiply(t *testing.T) {
	networks := "geo:\n  networks:\n  - &n {network: 10.0.0.0/8, place: {lat: 1, lon: 1}}\n" +
		strings.Repeat("  - *n\n", 1000)
	wantRule(t, errOf(Parse("f.yaml", []byte(smallest+networks))), "", ruleExpands)
}

// The classic bomb stands for 10^10 values, in places where the schema has no list of lists: nobody goes there.
func TestAliasBomb(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		items := strings.Repeat("*"+string(c-1)+",", 10)
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(items, ","))
	}
	err := errOf(Parse("f.yaml", []byte(bomb+"webhooks: *j\nreplicas: *j\n")))
	wantRule(t, err, "replicas[9]", "must be a mapping, not a list")
	wantRule(t, err, "webhooks[9]", "must be a mapping, not a list")
}

func TestProblemsAreBounded(t *testing.T) {
	data := smallest + "geo:\n  networks:\n" + strings.Repeat("  - {network: 10.0.0.0/99, place: nowhere/at-all}\n",
		10_000)
	_, err := Parse("f.yaml", []byte(data))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 {
		t.Fatalf("%d problems, want %d", len(problems), maxProblems+1)
	}
	if got, want := problems[maxProblems].Rule, fmt.Sprintf(ruleTooMany, 19_000); got != want {
		t.Errorf("last: %s, want %s", got, want)
	}
}

func errOf(_ *Config, err error) error { return err }

func wantRule(t *testing.T, err error, field, rule string) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v, want Problems", err)
	}
	for _, p := range problems {
		if p.Field == field && p.Rule == rule {
			return
		}
	}
	t.Errorf("got:\n%v\nwant %s: %s", err, field, rule)
}
