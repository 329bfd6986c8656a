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

// recall reads it from a folder. What cannot be read counts as none.
func recall(dir string) (m memory) {
	if dir == "" {
		return m
	}
	file, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return m
	}
	defer file.Close()
	if json.NewDecoder(io.LimitReader(file, maxFile)).Decode(&m) != nil {
		return memory{}
	}
	return m
}

// remember changes what is remembered, and keeps it. It is called by Run alone.
func (a *Audit) remember(change func(m *memory)) {
	a.mu.Lock()
	change(&a.memory)
	data, err := json.Marshal(a.memory)
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
	return slices.Contains(a.memory.Whole, replica)
}
