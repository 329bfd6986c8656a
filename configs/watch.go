package configs

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-gateway/fairlead/configs/keyfiles"
)

// Watch sees that a file has changed, or what stands in replicas.d beside it, or a file that one of them names: by a
// rename, behind a symbolic link, as Kubernetes replaces what it mounts, or in place. It asks the file system from time
// to time, which is all that works on every one. Safe for concurrent use.
type Watch struct {
	path string // Static after NewWatch.

	mu    sync.Mutex
	named []string // by what was taken. Guarded by mu, as all below.
	taken look
	last  look // the one before
	calm  int  // looks in a row in which the file and its parts were as at the one before
}

// look is what a watch sees at one moment.
type look struct {
	files  []seen
	sum    [sha256.Size]byte // of what is in them; zero: not read
	source [sha256.Size]byte // the same, without the files that are named
}

type seen struct {
	name string
	info os.FileInfo // nil: it is not there
}

// unsure is for how long a file may change once more without a later time: as coarse as file systems' clocks are.
const unsure = 3 * time.Second

// mostCalm bounds for how many looks a named file that does not stop changing keeps an edit waiting.
const mostCalm = 10

// NewWatch watches what Load reads at path.
func NewWatch(path string) *Watch { return &Watch{path: path} }

// Take reads all that is watched as it is now, and checks it. From now on that is what nothing has changed from.
func (w *Watch) Take() (*Config, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.take(w.read())
}

// read reads until nothing changes meanwhile, or gives up: of what does not stop changing the next look says so.
func (w *Watch) read() (*Source, []seen) {
	before := w.stat()
	for range 3 {
		s := Read(w.path)
		after := w.stat()
		if same(before, after) {
			return s, before
		}
		before = after
	}
	return Read(w.path), before
}

func (w *Watch) take(s *Source, files []seen) (*Config, error) {
	c, named, err := s.Config()
	slices.Sort(named)
	if named = slices.Compact(named); s.err != nil || len(named) == 0 && err != nil {
		named = w.named // what is no YAML names nothing, and is about to be put right
	}
	if !slices.Equal(named, w.named) {
		w.named = named
		files = w.stat()
	}
	w.taken = look{files, w.sum(s), s.sum()}
	w.last, w.calm = w.taken, 0
	return c, err
}

// Look reports whether there is something else than what was taken last, and takes it: what has the same content at two
// looks in a row, so that nobody's half of an edit is taken. Files that were written again as they were have not
// changed, and what others write beside them keeps no edit waiting.
func (w *Watch) Look(now time.Time) (c *Config, changed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	files := w.stat()
	if same(files, w.taken.files) && !fresh(files, now) {
		return nil, false, nil
	}
	s := Read(w.path)
	seen := look{files, w.sum(s), s.sum()}
	if w.calm++; seen.source != w.last.source {
		w.calm = 0
	}
	quiet := seen.sum == w.last.sum || seen.source != w.taken.source && w.calm >= mostCalm
	w.last = seen
	switch {
	case seen.sum == w.taken.sum:
		w.taken = seen
		return nil, false, nil
	case !quiet:
		return nil, false, nil
	}
	c, err = w.take(s, files)
	return c, true, err
}

// Again takes once more what was taken last, and reports whether it is still that: what was refused may be right by now
// for a reason that is not watched, such as a folder, or the end of a large database.
func (w *Watch) Again() (c *Config, unchanged bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, files := w.read()
	if w.sum(s) != w.taken.sum {
		return nil, false, nil
	}
	c, err = w.take(s, files)
	return c, true, err
}

// stat looks at all that is watched, without reading it.
func (w *Watch) stat() []seen {
	names := append([]string{w.path, folderBeside(w.path)}, w.named...)
	if parts, err := partsBeside(w.path); err == nil {
		names = append(names, parts...)
	}
	out := make([]seen, len(names))
	for i, name := range names {
		info, _ := os.Stat(name)
		out[i] = seen{name, info}
	}
	return out
}

// sum is of the source, and of the beginning of each file that it names. Of what is larger than a certificate can be,
// a database, others see more (mmdb.Watched).
func (w *Watch) sum(s *Source) [sha256.Size]byte {
	h := sha256.New()
	of := s.sum()
	_, _ = h.Write(of[:])
	for _, name := range w.named {
		data, err := keyfiles.Read(name)
		fmt.Fprintf(h, "%q %d %v ", name, len(data), err)
		_, _ = h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func same(a, b []seen) bool {
	return slices.EqualFunc(a, b, func(x, y seen) bool {
		if x.info == nil || y.info == nil {
			return x.name == y.name && x.info == nil && y.info == nil
		}
		return x.name == y.name && os.SameFile(x.info, y.info) && x.info.Size() == y.info.Size() &&
			x.info.ModTime().Equal(y.info.ModTime())
	})
}

// fresh: something was written so shortly ago that the same time may yet come to stand for something else.
func fresh(files []seen, now time.Time) bool {
	return slices.ContainsFunc(files, func(s seen) bool {
		return s.info != nil && now.Sub(s.info.ModTime()).Abs() < unsure
	})
}
