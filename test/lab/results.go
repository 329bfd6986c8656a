package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// How a push may end.
const (
	ok       = "ok"
	failed   = "failed"   // the client says so
	damaged  = "damaged"  // the client says that all is well, and it is not
	hung     = "hung"     // killed after commandBound
	unharmed = "unharmed" // it was finished before anything happened to its replica
)

// result is a line of the results file: some pushes or pulls of a cell. Of a cell with several lines, all count.
type result struct {
	cell
	Outcomes map[string]int `json:"outcomes"`
	// how many of the pushes came to both ends; the others were not tried at all
	Split   int       `json:"split"`
	Details []string  `json:"details,omitempty"` // of what went wrong, each once
	Fetched []float64 `json:"fetched,omitempty"` // of each whole pull: what replicas sent, as a multiple of its size
	Took    []float64 `json:"took,omitempty"`    // seconds of each pull
	// with the start of registries and gateways, without that of the client
	Seconds  float64   `json:"seconds"`
	Version  string    `json:"version"` // the client's
	Fairlead string    `json:"fairlead"`
	Date     time.Time `json:"date"`
}

func (r result) pushes() int {
	n := 0
	for _, count := range r.Outcomes {
		n += count
	}
	return n
}

func (r result) bad() int { return r.Outcomes[failed] + r.Outcomes[damaged] + r.Outcomes[hung] }

// readResults of a file that is not there is none.
func readResults(file string) ([]result, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []result
	for d := json.NewDecoder(f); ; {
		var r result
		err := d.Decode(&r)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s, after %d results: %w", file, len(all), err)
		}
		all = append(all, r)
	}
}

func appendResult(file string, r result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
