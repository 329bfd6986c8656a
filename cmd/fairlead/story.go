package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// story is the demo's log: a line for each request of a client, what changed, and nothing else.
type story struct {
	slog.Handler // of all that is no request

	mu  *sync.Mutex // guards out
	out io.Writer
}

func newStory(out io.Writer) *story {
	return &story{
		Handler: slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo}),
		mu:      &sync.Mutex{},
		out:     out,
	}
}

// Enabled lets through the requests, which the proxy logs at debug level.
func (s *story) Enabled(context.Context, slog.Level) bool { return true }

func (s *story) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		return s.Handler.Handle(ctx, r)
	}
	if r.Message != "request" {
		return nil
	}
	a := map[string]string{}
	r.Attrs(func(attr slog.Attr) bool {
		a[attr.Key] = attr.Value.String()
		return true
	})
	if a["agent"] == "fairlead-health" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintf(s.out, "%-10s %-6s %-60s -> %s (%s) %s\n", a["client"], a["method"], a["path"], a["replica"],
		a["reason"], a["status"])
	return err
}
