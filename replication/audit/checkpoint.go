package audit

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	fileName = "audit.json"
	maxFile  = 1 << 20
)

// checkpoint is what the file holds.
type checkpoint struct {
	Surveyed []string `json:"surveyed"` // holders that have been audited once, to the end
	Run      []string `json:"run"`      // replicas of the audit that runs; none: none does
	After    string   `json:"after"`    // the last repository that is done
}

func (c *checkpoint) addSurveyed(names []string) {
	c.Surveyed = append(slices.Clone(c.Surveyed), names...) // others may be reading it
	slices.Sort(c.Surveyed)
	c.Surveyed = slices.Compact(c.Surveyed)
}

// Checkpoint is how far audits have come, kept in a file. What is lost of it is done again.
type Checkpoint struct {
	// Static after OpenCheckpoint.
	file string // "": it is not kept
	log  *slog.Logger

	mu  sync.Mutex
	now checkpoint // Guarded by mu.
}

// OpenCheckpoint reads the checkpoint of a folder. One that cannot be read is empty. With "" nothing is kept.
func OpenCheckpoint(dir string, log *slog.Logger) *Checkpoint {
	if dir == "" {
		return &Checkpoint{log: log}
	}
	c := &Checkpoint{file: filepath.Join(dir, fileName), log: log}
	file, err := os.Open(c.file)
	if err != nil {
		return c
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxFile)).Decode(&c.now) != nil {
		c.now = checkpoint{}
	}
	return c
}

// Surveyed reports whether a registry has been audited once, so that the ledger has what was there before it.
func (c *Checkpoint) Surveyed(holder string) bool {
	return slices.Contains(c.read().Surveyed, holder)
}

func (c *Checkpoint) read() checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// update changes the checkpoint, and writes it. Run alone calls it.
func (c *Checkpoint) update(change func(m *checkpoint)) {
	c.mu.Lock()
	change(&c.now)
	data, err := json.Marshal(c.now)
	c.mu.Unlock()
	if c.file == "" {
		return
	}
	if err == nil {
		err = os.WriteFile(c.file+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(c.file+".new", c.file)
	}
	if err != nil {
		c.log.Warn("the progress of an audit cannot be written: after a restart it begins anew", "file", c.file,
			"error", err)
	}
}
