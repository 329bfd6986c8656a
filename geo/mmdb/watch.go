package mmdb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/geo"
)

// Watched are database files that may be replaced at any time: by a rename, behind a symlink, as Kubernetes replaces
// what it mounts, or in place. One goroutine may use it at a time.
type Watched struct {
	// Static after NewWatched.
	paths []string
	load  func() (*geo.Table, geo.Report, error)

	loaded []os.FileInfo // as the files were before they were last read, well or not
}

// NewWatched is of files as Load takes them.
func NewWatched(bits4 int, paths ...string) *Watched {
	return &Watched{paths: paths, load: func() (*geo.Table, geo.Report, error) { return Load(bits4, paths...) }}
}

// Load reads the files as they are.
func (w *Watched) Load() (*geo.Table, geo.Report, error) {
	w.loaded = w.look()
	return w.load()
}

// Run looks at the files each time that every has passed, until the context ends. Once they have changed since they
// were loaded, and then not between two looks, it loads them, and calls changed with what they hold, or failed: once
// for each change. It does not load what Load has. What could not be read, for want of a file descriptor, say, is tried
// again each time.
func (w *Watched) Run(ctx context.Context, every time.Duration, changed func(*geo.Table, geo.Report),
	failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last []os.FileInfo
	unread := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := w.look()
		quiet := same(now, last)
		last = now
		if !quiet || same(now, w.loaded) {
			continue
		}
		table, report, err := w.Load()
		if err == nil {
			unread = ""
			changed(table, report)
			continue
		}
		var passing *fs.PathError
		if errors.As(err, &passing) {
			w.loaded = nil
			if unread == err.Error() {
				continue
			}
			unread = err.Error()
		}
		failed(err)
	}
}

// look is nil for each file that cannot be looked at.
func (w *Watched) look() []os.FileInfo {
	now := make([]os.FileInfo, len(w.paths))
	for i, path := range w.paths {
		if info, err := os.Stat(path); err == nil {
			now[i] = info
		}
	}
	return now
}

// same reports whether files are what they were, as far as can be told without reading them.
func same(a, b []os.FileInfo) bool {
	return slices.EqualFunc(a, b, func(x, y os.FileInfo) bool {
		if x == nil || y == nil {
			return x == nil && y == nil
		}
		return os.SameFile(x, y) && x.Size() == y.Size() && x.ModTime().Equal(y.ModTime())
	})
}
