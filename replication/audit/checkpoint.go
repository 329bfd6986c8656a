package audit

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const (
	fileName = "audit.json"
	maxFile  = 1 << 20
)

// checkpoint outlives a restart. What is lost of it is done again.
type checkpoint struct {
	Surveyed []string `json:"surveyed"` // replicas that have been audited once, to the end
	Run      []string `json:"run"`      // replicas of the audit that runs; none: none does
	After    string   `json:"after"`    // the last repository that is done
}

func (c *checkpoint) addSurveyed(names []string) {
	c.Surveyed = append(slices.Clone(c.Surveyed), names...) // others may be reading it
	slices.Sort(c.Surveyed)
	c.Surveyed = slices.Compact(c.Surveyed)
}

// readCheckpoint reads it from a folder. What cannot be read counts as none.
func readCheckpoint(dir string) (m checkpoint) {
	if dir == "" {
		return m
	}
	file, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return m
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxFile)).Decode(&m) != nil {
		return checkpoint{}
	}
	return m
}

// updateCheckpoint changes the checkpoint, and writes it. Run alone calls it.
func (a *Audit) updateCheckpoint(change func(c *checkpoint)) {
	a.mu.Lock()
	change(&a.checkpoint)
	data, err := json.Marshal(a.checkpoint)
	a.mu.Unlock()
	if a.State == "" {
		return
	}
	file := filepath.Join(a.State, fileName)
	if err == nil {
		err = os.WriteFile(file+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		a.Log.Warn("the progress of an audit cannot be written: after a restart it begins anew", "file", file, "error", err)
	}
}

// Surveyed reports whether the replica has been audited once, so that the ledger has what was there before it.
func (a *Audit) Surveyed(replica string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.checkpoint.Surveyed, replica)
}
