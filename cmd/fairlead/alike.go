package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Lines of a log are alike if level, message, replica and member are the same; errors, if what they are about is, too.
// In one window the first are written as they come. Of the others the last one is, when the window ends: with its own
// time, and their number. A program that is killed writes none of those.
const (
	alikeWindow = time.Minute
	mostAlike   = 10
	mostKinds   = 1024 // of lines in a window; lines of more are all written
)

// sparing keeps a thousand lines of one kind from hiding the one line of another. Lines for debugging are all written.
type sparing struct {
	slog.Handler
	about  kind // of all its lines, as far as these do not say
	counts *alike
}

func newSparing(to slog.Handler) sparing {
	return sparing{Handler: to, counts: &alike{kinds: map[kind]*lines{}}}
}

func (s sparing) WithGroup(name string) slog.Handler {
	s.Handler = s.Handler.WithGroup(name)
	return s
}

func (s sparing) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		s.about.take(a)
	}
	s.Handler = s.Handler.WithAttrs(attrs)
	return s
}

func (s sparing) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo {
		return s.Handler.Handle(ctx, r)
	}
	k := s.about
	r.Attrs(func(a slog.Attr) bool { k.take(a); return true })
	k.level, k.message = r.Level, r.Message
	if r.Level < slog.LevelError {
		k.repository, k.digest = "", ""
	}
	if s.counts.hold(k, s.Handler, r) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// end writes what is held back.
func (s sparing) end() {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for k := range s.counts.kinds {
		s.counts.write(k)
	}
}

type kind struct {
	level              slog.Level
	message            string
	replica, member    string
	repository, digest string
}

func (k *kind) take(a slog.Attr) {
	switch a.Key {
	case "replica":
		k.replica = a.Value.String()
	case "member":
		k.member = a.Value.String()
	case "repository":
		k.repository = a.Value.String()
	case "digest":
		k.digest = a.Value.String()
	}
}

// lines are those of one kind in its window.
type lines struct {
	written int
	held    int
	last    slog.Record // of those held
	to      slog.Handler
}

type alike struct {
	mu    sync.Mutex
	kinds map[kind]*lines // Guarded by mu.
}

// hold reports whether a line is counted instead of written.
func (a *alike) hold(k kind, to slog.Handler, r slog.Record) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.kinds[k]
	if of == nil {
		if len(a.kinds) >= mostKinds {
			return false
		}
		of = &lines{}
		a.kinds[k] = of
		time.AfterFunc(alikeWindow, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.kinds[k] == of {
				a.write(k)
			}
		})
	}
	if of.written < mostAlike {
		of.written++
		return false
	}
	of.held++
	of.last, of.to = r.Clone(), to
	return true
}

// write ends a window. It is called with mu.
func (a *alike) write(k kind) {
	of := a.kinds[k]
	delete(a.kinds, k)
	if of.held == 0 {
		return
	}
	of.last.AddAttrs(slog.Int("alike", of.held))
	_ = of.to.Handle(context.Background(), of.last) // there is nobody to tell
}
