package audit

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
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
	// Guarded by mu: when the last audit of a holder to the end, all of it in this run of the gateway, began.
	began map[string]time.Time
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

// SurveyedSince reports whether a registry has been audited to the end, by an audit that began after a time: the ledger
// has what clients left there until then, past all gateways or by the replica's own name. A restart forgets it.
func (c *Checkpoint) SurveyedSince(holder string, since time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began[holder].After(since)
}

// surveyed keeps that holders were audited to the end.
func (c *Checkpoint) surveyed(holders []string, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began == nil {
		c.began = map[string]time.Time{}
	}
	for _, holder := range holders {
		c.began[holder] = began
	}
}

// forget keeps of no others than these holders when they were audited.
func (c *Checkpoint) forget(holders []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.began, func(holder string, _ time.Time) bool { return !slices.Contains(holders, holder) })
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
