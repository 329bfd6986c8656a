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

// memory is what outlives a restart. What is lost of it is done again.
type checkpoint struct {
	Surveyed []string `json:"whole"` // replicas of which everything has been looked at once
	Run      []string `json:"run"`   // replicas of the audit under way; none: there is none
	After    string   `json:"after"` // repository up to which it has come
}

func (m *checkpoint) addSurveyed(names []string) {
	m.Surveyed = append(slices.Clone(m.Surveyed), names...) // others may be reading it
	slices.Sort(m.Surveyed)
	m.Surveyed = slices.Compact(m.Surveyed)
}

// recall reads it from a folder. What cannot be read counts as none.
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

// remember changes what is remembered, and keeps it. It is called by Run alone.
func (a *Audit) updateCheckpoint(change func(m *checkpoint)) {
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
		a.Log.Warn("how far an audit has come cannot be kept", "error", err)
	}
}

// Surveyed: all that the replica has was looked at once, so that the ledger knows of what was there before it.
func (a *Audit) Surveyed(replica string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.checkpoint.Surveyed, replica)
}
