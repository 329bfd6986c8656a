package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written is read while timers write to it.
type written struct {
	mu sync.Mutex
	bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.String()
}

func TestAlikeLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out written
		h := newSparing(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		log := slog.New(h)
		lines := func(about string) (found []string) {
			synctest.Wait()
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, about) {
					found = append(found, line)
				}
			}
			return found
		}
		for n := range 246 {
			log.Warn("replication failed", "replica", "west", "repository", n)
			log.Debug("a request", "replica", "west")
		}
		log.Error("replication failed", "replica", "west", "repository", "an error")
		for n := range 20 {
			log.Error("lost", "replica", "west", "repository", "app", "digest", n)
		}
		log.With("replica", "east").Warn("replication failed", "repository", "of east")
		for about, want := range map[string]int{"level=WARN": 11, "level=DEBUG": 246, "an error": 1, "of east": 1,
			"msg=lost": 20} {
			if got := lines(about); len(got) != want {
				t.Errorf("%d lines of %q at once, want %d", len(got), about, want)
			}
		}
		time.Sleep(alikeWindow)
		if got := lines("alike=236"); len(got) != 1 || !strings.Contains(got[0], "repository=245") {
			t.Errorf("the others were told as %q", got)
		}
		if got := lines("level=WARN"); len(got) != 12 {
			t.Errorf("%d lines in the end", len(got))
		}
		for range 12 {
			log.Warn("again")
		}
		h.end()
		if got := lines("again"); len(got) != 11 || !strings.Contains(got[10], "alike=2") {
			t.Errorf("of a program that ends: %q", got)
		}
		time.Sleep(alikeWindow) // its window ends with nothing to write
		if got := lines("again"); len(got) != 11 {
			t.Errorf("%d lines after the end", len(got))
		}
	})
}

func TestManyKindsOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out written
		log := slog.New(newSparing(slog.NewTextHandler(&out, nil)))
		for n := range mostKinds {
			log.Warn("a", "replica", n)
		}
		for range 2 * mostAlike {
			log.Warn("b")
		}
		if got := strings.Count(out.String(), "msg=b"); got != 2*mostAlike {
			t.Errorf("%d lines", got)
		}
	})
}
