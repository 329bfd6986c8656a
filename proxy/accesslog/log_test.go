package accesslog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened is a log, and what it says of itself.
type opened struct {
	*Log
	said *bytes.Buffer // to be read after Close
}

func open(t *testing.T, name string) opened {
	t.Helper()
	said := &bytes.Buffer{}
	l, err := Open(name, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return opened{l, said}
}

func (l *Log) lost(why string) int { return int(testutil.ToFloat64(l.counted.WithLabelValues(why))) }

// flush waits until all that was added is written.
func (l *Log) flush(t *testing.T, name string, lines int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if len(linesOf(t, name)) >= lines {
			return
		}
	}
	t.Fatalf("%s never had %d lines", name, lines)
}

// linesOf are the lines of a file, each of which must be JSON.
func linesOf(t *testing.T, name string) (methods []string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(content) {
		var e struct{ Method string }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v: %q", name, err, line)
		}
		methods = append(methods, e.Method)
	}
	return methods
}

// TestEveryLine: what many add at once is all there, each line by itself, behind what was there before.
func TestEveryLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		l := open(t, name)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 200 {
					l.Add(Entry{Method: "GET", UserAgent: strings.Repeat("\n", 50)})
				}
			})
		}
		all.Wait()
		l.Close()
		if l.said.Len() > 0 {
			t.Error(l.said)
		}
		l.Add(Entry{}) // the gateway stops: nobody is kept waiting, and nothing panics
		if got := l.lost(lostSlow); got != 1 {
			t.Errorf("%d lines are counted as lost", got)
		}
	}
	if got := len(linesOf(t, name)); got != 4000 {
		t.Errorf("%d lines", got)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("anybody may read it: %v %v", info.Mode(), err)
	}
}

// TestRotation: after a rename the next line begins a new file, and after copytruncate the same one.
func TestRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "access.log")
	l := open(t, name)
	l.Add(Entry{Method: "ONE"})
	l.flush(t, name, 1)
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Method: "TWO"})
	l.flush(t, name, 1)
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Method: "THREE"})
	l.flush(t, name, 1)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	l.Add(Entry{Method: "FOUR"})
	l.Close()
	if one, four := linesOf(t, name+".1"), linesOf(t, name); len(one) != 1 || len(four) != 1 || one[0] != "ONE" ||
		four[0] != "FOUR" {
		t.Errorf("%q %q", one, four)
	}
	if l.said.Len() > 0 {
		t.Error(l.said)
	}
}

// TestAnotherFile: each line is in the file that the log had when it was added, and files that it has no more are closed.
func TestAnotherFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(dir, name)
	}
	l := open(t, file("one"))
	before := openFiles(t)
	for i, name := range []string{"two", "two", "", "three", "four", "", "one"} {
		swap, err := l.Prepare(file(name))
		if err != nil {
			t.Fatal(err)
		}
		l.Add(Entry{Method: fmt.Sprint("BEFORE", i)})
		swap()
	}
	l.Add(Entry{Method: "AFTER"})
	l.flush(t, file("one"), 2)
	if got := openFiles(t); got != before {
		t.Errorf("%d files are open, want %d", got, before)
	}
	if _, err := l.Prepare(filepath.Join(dir, "none", "log")); err == nil {
		t.Error("a file that cannot be opened is taken")
	}
	l.Close()
	if one := linesOf(t, file("one")); len(one) != 2 || one[0] != "BEFORE0" || one[1] != "AFTER" {
		t.Errorf("%q", one)
	}
	if l.said.Len() > 0 {
		t.Error(l.said)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(all)
}

// TestAnotherPipe: who reads a named pipe that lines are to go to does not see it end before the first of them.
func TestAnotherPipe(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, filepath.Join(dir, "one"))
	defer l.Close()
	if _, err := l.Prepare(name); err == nil {
		t.Error("a pipe that nobody reads is taken")
	}
	read := make(chan string, 1)
	opened, prepared := make(chan struct{}), make(chan struct{})
	go func() {
		f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		close(opened)
		if err != nil {
			read <- err.Error()
			return
		}
		defer f.Close()
		<-prepared
		line, err := bufio.NewReader(f).ReadString('\n')
		read <- fmt.Sprint(line, err)
	}()
	<-opened
	swap, err := l.Prepare(name)
	if err != nil {
		t.Fatal(err)
	}
	close(prepared)
	swap()
	l.Add(Entry{Method: "FIRST"})
	if got := <-read; !strings.Contains(got, "FIRST") || !strings.HasSuffix(got, "<nil>") {
		t.Error(got)
	}
}

// TestManyTurns: a file that takes nothing does not have any number of others wait behind it.
func TestManyTurns(t *testing.T) {
	dir := t.TempDir()
	l := &Log{wake: make(chan struct{}, 1)} // nothing is written
	for i := range maxTurns + 1 {
		swap, err := l.Prepare(filepath.Join(dir, fmt.Sprint(i)))
		if (err != nil) != (i == maxTurns) {
			t.Fatalf("%d: %v", i, err)
		}
		if err == nil {
			swap()
		}
	}
	for _, turn := range l.turns {
		turn.next.close()
	}
}

// TestSlow: a pipe that nobody reads keeps nobody waiting. What does not fit is counted, and said.
func TestSlow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, prometheus.NewRegistry(), slog.Default()); err == nil {
		t.Fatal("a pipe without a reader was opened")
	}
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := open(t, name)
	const added = 20_000
	for range added {
		l.Add(Entry{Method: "GET", UserAgent: strings.Repeat("x", 400)})
	}
	lost := l.lost(lostSlow)
	if lost < added/2 {
		t.Errorf("%d of %d lines are lost: more are held than may be", lost, added)
	}
	var got []byte
	read := make(chan struct{})
	go func() { defer close(read); got, _ = io.ReadAll(reader) }()
	l.Close()
	<-read
	if lines := bytes.Count(got, []byte{'\n'}); lines != added-lost {
		t.Errorf("%d lines came, of %d that were taken", lines, added-lost)
	}
	if !strings.Contains(l.said.String(), "lines of the access log are lost") {
		t.Error("nothing was said of it")
	}
}

// TestFull: a disk without room costs lines, and no more.
func TestFull(t *testing.T) {
	l := open(t, "/dev/full")
	for range 3 {
		l.Add(Entry{})
	}
	l.Close()
	if got := l.lost(lostFailed); got != 3 {
		t.Errorf("%d lines are counted as lost", got)
	}
	if !strings.Contains(l.said.String(), "no space left") {
		t.Errorf("said: %s", l.said)
	}
}

// TestTorn: behind a line of which only a part was written the next one begins anew.
func TestTorn(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := output{file: writer}
	lines := bytes.Repeat([]byte("long line\n"), 1<<20/10)
	go func() {
		_, _ = io.ReadFull(reader, make([]byte, 1)) // it is being written
		_ = writer.SetWriteDeadline(time.Now())
	}()
	n, err := o.write(lines)
	if err == nil || n == 0 {
		t.Fatal("the pipe took all, or nothing")
	}
	o.torn = true // wherever the pipe was full
	_ = writer.SetWriteDeadline(time.Time{})
	var got []byte
	read := make(chan struct{})
	go func() { defer close(read); got, _ = io.ReadAll(reader) }()
	for range 2 {
		if _, err := o.write([]byte("next\n")); err != nil {
			t.Error(err)
		}
	}
	writer.Close()
	<-read
	if !bytes.HasSuffix(got, []byte("\nnext\nnext\n")) || len(got) != n-1+len("\nnext\nnext\n") {
		t.Errorf("%q", got[max(0, len(got)-40):])
	}
}
