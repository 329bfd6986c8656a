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

// memory is what outlives a restart. What is lost of it is done again.
type memory struct {
	Whole []string `json:"whole"` // replicas of which everything has been looked at once
	Run   []string `json:"run"`   // replicas of the audit under way; none: there is none
	After string   `json:"after"` // repository up to which it has come
}

func (m *memory) surveyed(names []string) {
	m.Whole = append(slices.Clone(m.Whole), names...) // others may be reading it
	slices.Sort(m.Whole)
	m.Whole = slices.Compact(m.Whole)
}

// Checkpoint is how far audits have come, kept in a file. What is lost of it is done again.
type Checkpoint struct {
	// Static after OpenCheckpoint.
	file string // "": it is not kept
	log  *slog.Logger

	mu  sync.Mutex
	now memory // Guarded by mu.
}

// OpenCheckpoint reads the checkpoint of a folder, which is empty if it cannot be read. With "" nothing is kept.
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
		c.now = memory{}
	}
	return c
}

// Surveyed reports whether all that a replica has was looked at once, so that the ledger knows of what was there before it.
func (c *Checkpoint) Surveyed(replica string) bool { return slices.Contains(c.read().Whole, replica) }

func (c *Checkpoint) read() memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// update changes the checkpoint, and keeps it. It is called by Run alone.
func (c *Checkpoint) update(change func(m *memory)) {
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
		c.log.Warn("how far an audit has come cannot be kept", "error", err)
	}
}
