package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-gateway/fairlead/boltfile"
)

// lines is a log that tests count in.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // Guarded by mu.
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(parts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		found := true
		for _, p := range parts {
			found = found && strings.Contains(line, p)
		}
		if found {
			n++
		}
	}
	return n
}

func (l *lines) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// blocked is a folder that cannot be made until open is called.
func blocked(t *testing.T) (dir string, open func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	must(t, os.WriteFile(dir, []byte("a file"), 0o600))
	return dir, func() { must(t, os.Remove(dir)) }
}

// What cannot be opened is opened as soon as it can be. Until then everything says so, the log once a minute.
func TestOpenedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, open := blocked(t)
		var log lines
		l, err := Open(dir, "gw1", Named(regions...), newWall().now, log.log())
		must(t, err)
		for name, try := range map[string]func() error{
			"Available": l.Available,
			"Get":       func() error { _, _, err := l.Get(tag("v1")); return err },
			"List":      func() error { _, err := l.List("team/app", "", 9); return err },
			"Pending":   func() error { _, _, err := l.Pending("west", "", 9); return err },
			"Since":     func() error { _, err := l.Since(nil, 9); return err },
			"Vector":    func() error { _, err := l.Vector(); return err },
			"Events":    func() error { _, err := l.Events(0, 9); return err },
			"Conflicts": func() error { _, _, err := l.Conflicts(0, 9); return err },
			"Push": func() error {
				_, err := l.Push(tag("v1"), Content{Digest: digest(1), Size: 1}, "east", Request{})
				return err
			},
			"Delete":    func() error { _, err := l.Delete(tag("v1"), "east", Request{}); return err },
			"Confirm":   func() error { return l.Confirm(Entry{Reference: tag("v1")}, "east") },
			"MergePage": func() error { _, err := l.MergePage(Page{}); return err },
			"Trim":      func() error { return l.Trim(9, nil) },
			"Compact":   func() error { _, err := l.Compact(0); return err },
		} {
			if err := try(); !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%s: %v", name, err)
			}
		}
		time.Sleep(3*time.Minute + tryEvery/2)
		if n := log.count("level=ERROR", "not available"); n != 4 {
			t.Errorf("said %d times in three minutes", n)
		}
		open()
		time.Sleep(tryEvery)
		synctest.Wait()
		must(t, l.Available())
		push(t, l, tag("v1"), digest(1), "east")
		if get(t, l, tag("v1")).Digest != digest(1) {
			t.Error("not read")
		}
		if n := log.count("level=INFO", "available again"); n != 1 {
			t.Errorf("said %d times that it is back", n)
		}
		checkIntegrity(t, l)
		must(t, l.Close())
	})
}

// Whoever writes and reads while it is opened has an error or an answer.
func TestOpenedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, open := blocked(t)
		l, err := Open(dir, "gw1", Named(regions...), newWall().now, slog.New(slog.DiscardHandler))
		must(t, err)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				what := tag(fmt.Sprint("v", i))
				_, err := l.Push(what, Content{Digest: digest(i), Size: 1}, "east", Request{})
				for ; err != nil; _, err = l.Push(what, Content{Digest: digest(i), Size: 1}, "east", Request{}) {
					if !errors.Is(err, ErrUnavailable) {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(i+1) * time.Millisecond)
				}
				if e, known, err := l.Get(what); err != nil || !known || e.Digest != digest(i) {
					t.Errorf("%v: %v %v %v", what, e, known, err)
				}
			})
		}
		time.Sleep(tryEvery / 2)
		open()
		all.Wait()
		must(t, l.Close())
	})
}

func TestClosedBeforeItIsOpen(t *testing.T) {
	dir, _ := blocked(t)
	l, err := Open(dir, "gw1", Named(regions...), newWall().now, slog.New(slog.DiscardHandler))
	must(t, err)
	must(t, l.Close())
	_, err = l.Push(tag("v1"), Content{Digest: digest(1), Size: 1}, "east", Request{})
	wantError(t, err, ErrUnavailable)
}

// A damaged file is begun anew, at once or when it can be opened at last.
func TestDamagedFileIsBegunAnew(t *testing.T) {
	for _, locked := range []bool{false, true} {
		t.Run(fmt.Sprint("locked ", locked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), fileName)
				must(t, os.WriteFile(path, []byte("no ledger"), 0o600))
				other, err := os.Open(path)
				must(t, err)
				defer other.Close()
				if locked {
					must(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
				}
				var log lines
				l, err := Open(filepath.Dir(path), "gw1", Named(regions...), newWall().now, log.log())
				must(t, err)
				if locked {
					wantError(t, l.Available(), boltfile.ErrLocked)
					must(t, syscall.Flock(int(other.Fd()), syscall.LOCK_UN))
					time.Sleep(tryEvery)
					synctest.Wait()
				}
				must(t, l.Available())
				push(t, l, tag("v1"), digest(1), "east")
				if aside, err := os.ReadFile(path + ".damaged"); err != nil || string(aside) != "no ledger" {
					t.Errorf("it is not aside: %q, %v", aside, err)
				}
				if n := log.count("level=ERROR", "begins anew", ".damaged"); n != 1 {
					t.Errorf("said %d times", n)
				}
				must(t, l.Close())
			})
		})
	}
}

// What could not be written is found to be writable again without anybody writing.
func TestWritableAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := tmpfs(t)
		dir, ballast := filepath.Join(disk, "ledger"), filepath.Join(disk, "ballast")
		must(t, os.WriteFile(ballast, make([]byte, 1<<19), 0o600))
		var log lines
		l, err := Open(dir, "gw1", Named(regions...), newWall().now, log.log())
		must(t, err)
		for n := 0; l.Available() == nil && n < 10_000; n++ {
			_, _ = l.Push(tag(fmt.Sprint("v", n)), Content{Digest: digest(n), Size: 1}, "east", Request{})
		}
		wantError(t, l.Available(), syscall.ENOSPC)
		must(t, os.Remove(ballast))
		time.Sleep(2 * tryEvery)
		synctest.Wait()
		must(t, l.Available())
		if said, back := log.count("level=ERROR"), log.count("level=INFO"); said != 1 || back != 1 {
			t.Errorf("said %d times, and %d times that it is back", said, back)
		}
		must(t, l.Close())
	})
}

// A file found damaged while it is open is not available, whoever looks.
func TestDamagedWhileOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(t.TempDir(), "gw1", Named(regions...), newWall().now, slog.New(slog.DiscardHandler))
		must(t, err)
		_ = l.read(func(*tx) { panic("page 7: neither branch nor leaf") })
		time.Sleep(tryEvery)
		synctest.Wait()
		wantError(t, l.Available(), ErrUnavailable)
		must(t, l.Close())
	})
}

// A disk that does not answer counts as not available, and as available when it answers.
func TestStalledDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(t.TempDir(), "gw1", Named(regions...), newWall().now, slog.New(slog.DiscardHandler))
		must(t, err)
		free := make(chan struct{})
		wantError(t, l.submit(func(*tx) error { <-free; return nil }), ErrUnavailable)
		wantError(t, l.Available(), ErrUnavailable)
		close(free)
		time.Sleep(2 * tryEvery)
		synctest.Wait()
		must(t, l.Available())
		must(t, l.Close())
	})
}

// A probe that ended half-way does no harm.
func TestHalfAProbe(t *testing.T) {
	l, w := one(t)
	must(t, l.submit(func(t *tx) error { return t.putKey(bucketMeta, keyProbe, make([]byte, probeSize)) }))
	must(t, l.Close())
	l = start(t, filepath.Dir(l.path), "gw1", w)
	push(t, l, tag("v1"), digest(1), "east")
	must(t, l.probe())
	checkIntegrity(t, l)
	must(t, l.Close())
}
