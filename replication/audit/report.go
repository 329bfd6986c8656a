package audit

import (
	"slices"
	"sync"
	"time"
)

// Bounds of what a report lists.
const (
	maxDifferences = 10_000
	maxProblems    = 1000
)

// Request says what an audit is to do.
type Request struct {
	Replicas []string // none: all
	Deep     bool     // look for the blobs of all manifests
	Repair   bool
}

// report is what an audit has found.
type report struct {
	ID      int64
	Started time.Time
	Request // with the replicas that were looked at

	mu       sync.Mutex
	findings // Guarded by mu.
}

type findings struct {
	Ended        time.Time // zero: it goes on
	Repositories int
	Done         int
	Total        int          // differences
	Remaining    int          // of them those that were not repaired, recorded or settled
	Differences  []Difference // the first of them
	Problems     []Problem    // the first of them
	Unsure       int          // problems
}

// Problem is what could not be found out.
type Problem struct {
	Replica, Repository string // "": all
	Text                string
}

// Snapshot is a report at one moment.
type Snapshot struct {
	ID      int64
	Started time.Time
	Request
	findings
}

func (r *report) snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Snapshot{r.ID, r.Started, r.Request, r.findings}
	out.Differences, out.Problems = slices.Clone(r.Differences), slices.Clone(r.Problems)
	return out
}

// add returns the place of a difference in the list, or -1 where there is no room.
func (r *report) add(d Difference) (place int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Total++
	if d.remains() {
		r.Remaining++
	}
	if len(r.Differences) == maxDifferences {
		return -1
	}
	r.Differences = append(r.Differences, d)
	return len(r.Differences) - 1
}

// ended replaces a difference that was added before: it has its outcome now.
func (r *report) ended(place int, d Difference) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !d.remains() {
		r.Remaining--
	}
	if place >= 0 {
		r.Differences[place] = d
	}
}

func (d Difference) remains() bool {
	return d.Outcome != Recorded && d.Outcome != Repaired && d.Outcome != Settled
}

// noteProblem adds a problem that leaves the audit sure of what it found.
func (r *report) noteProblem(replica string, err error) {
	r.problem(replica, "", err)
	r.progress(func(f *findings) { f.Unsure-- })
}

func (r *report) problem(replica, repository string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Unsure++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{replica, repository, err.Error()})
	}
}

func (r *report) progress(do func(f *findings)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.findings)
}
