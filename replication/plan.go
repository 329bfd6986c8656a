package replication

import (
	"cmp"
	"slices"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// Replica is a replica as planning sees it.
type Replica struct {
	Name     string
	Up       bool
	Offline  bool     // the operator took it out
	Leaving  bool     // the file has it no more: it is a source, and nothing is copied or deleted there
	Holder   string   // which registry it is: another one under the same name has another holder
	Writable bool     // it accepts writes
	Storage  string   // replicas of the same storage have the same content; "" is its own
	Sources  []string // the others, the nearest first
	LeftOut  func(repository string) bool
}

func (r *Replica) readable() bool { return r.Up && !r.Offline }

// Fleet is all replicas, and which of them Assign gives to this gateway.
type Fleet struct {
	Replicas []Replica
	Assigned []string
}

func (f Fleet) replica(name string) *Replica {
	for i := range f.Replicas {
		if f.Replicas[i].Name == name {
			return &f.Replicas[i]
		}
	}
	return nil
}

// Served are the replicas that this gateway copies to, whether or not they can be reached now.
func (f Fleet) Served() (names []string) {
	for i := range f.Replicas {
		if r := &f.Replicas[i]; f.serves(r) {
			names = append(names, r.Name)
		}
	}
	return names
}

func (f Fleet) serves(r *Replica) bool {
	return r.Writable && !r.Offline && !r.Leaving && slices.Contains(f.Assigned, r.Name)
}

// target is nil if nothing can be copied to the replica now.
func (f Fleet) target(name string) *Replica {
	r := f.replica(name)
	if r == nil || !r.Up || !f.serves(r) {
		return nil
	}
	return r
}

// Action is what a task does.
type Action string

// The closed set of actions.
const (
	Confirm Action = "confirm" // it is there already, in storage that replicas share
	Delete  Action = "delete"
	Copy    Action = "copy"
)

// Task does to one replica what some entries say: one that is deleted, or those of one digest.
type Task struct {
	Action     Action
	Target     string
	Repository string
	Digest     string
	Entries    []ledger.Entry // the oldest first
	Sources    []string       // the nearest first
	Force      bool           // even if the replica has confirmed it
}

// key identifies a task. One task of a key runs at a time.
func (t Task) key() taskKey {
	if t.Action == Copy {
		return taskKey{t.Target, ledger.Reference{Repository: t.Repository, Name: t.Digest}}
	}
	return taskKey{t.Target, t.Entries[0].Reference}
}

type taskKey struct {
	target string
	ledger.Reference
}

// stamp is that of the task's latest entry.
func (t Task) stamp() hlc.Stamp { return t.Entries[len(t.Entries)-1].Stamp }

func (t Task) tagged() bool {
	return slices.ContainsFunc(t.Entries, func(e ledger.Entry) bool { return e.IsTag() })
}

// compareTasks orders tasks: deletions first, so that nobody is served what is deleted for longer than need be; then
// what tags name; then the rest, which may be what tags named before. Of the same kind the oldest goes first.
func compareTasks(a, b Task) int {
	rank := func(t Task) int {
		switch {
		case t.Action != Copy:
			return 0
		case t.tagged():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Entries[0].Stamp.Compare(b.Entries[0].Stamp),
		cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Entries[0].Name, b.Entries[0].Name))
}

// plan lists the tasks that can be done now for the entries that a replica may lack, in order. An entry that has no
// source that is up waits for one.
func plan(pending []ledger.Entry, target string, fleet Fleet) []Task {
	to := fleet.target(target)
	if to == nil {
		return nil
	}
	var tasks []Task
	copies := map[ledger.Reference]*Task{}
	for _, e := range pending {
		switch {
		case slices.Contains(e.Confirmed, target):
		case fleet.shared(e, to):
			tasks = append(tasks, taskFor(Confirm, target, e))
		case e.Deleted:
			tasks = append(tasks, taskFor(Delete, target, e))
		case e.Blob || fleet.leftOut(e, target):
		default:
			key := ledger.Reference{Repository: e.Repository, Name: e.Digest}
			if copies[key] == nil {
				copies[key] = &Task{Action: Copy, Target: target, Repository: e.Repository, Digest: e.Digest}
			}
			copies[key].Entries = append(copies[key].Entries, e)
		}
	}
	for _, t := range copies {
		slices.SortFunc(t.Entries, older)
		if t.Sources = fleet.sources(t.Entries, to); len(t.Sources) > 0 {
			tasks = append(tasks, *t)
		}
	}
	slices.SortFunc(tasks, compareTasks)
	return tasks
}

func taskFor(action Action, target string, e ledger.Entry) Task {
	return Task{Action: action, Target: target, Repository: e.Repository, Digest: e.Digest, Entries: []ledger.Entry{e}}
}

// leftOut reports whether a filter keeps the entry from the target. Deletions are never left out.
func (f Fleet) leftOut(e ledger.Entry, target string) bool {
	r := f.replica(target)
	return !e.Deleted && r != nil && r.LeftOut != nil && r.LeftOut(e.Repository)
}

// shared reports whether a replica of the same storage has confirmed the entry.
func (f Fleet) shared(e ledger.Entry, to *Replica) bool {
	return slices.ContainsFunc(e.Confirmed, func(name string) bool { return f.sameStorage(f.replica(name), to) })
}

func (f Fleet) sameStorage(a, b *Replica) bool {
	return a != nil && b != nil && (a.Name == b.Name || a.Storage != "" && a.Storage == b.Storage)
}

// readable lists the other replicas that can be read from, the nearest first.
func (f Fleet) readable(target string) (names []string) {
	to := f.replica(target)
	if to == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(to.Sources), func(name string) bool {
		r := f.replica(name)
		return r == nil || !r.readable()
	})
}

func (f Fleet) sources(entries []ledger.Entry, to *Replica) []string {
	return slices.DeleteFunc(f.readable(to.Name), func(name string) bool {
		return !slices.ContainsFunc(entries, func(e ledger.Entry) bool { return slices.Contains(e.Confirmed, name) })
	})
}

// Blob is a blob that was committed on a replica. Its manifest will follow.
type Blob struct{ Repository, Digest, Replica string }

// planBlob lists the replicas that a blob is copied to as soon as it is committed.
func planBlob(b Blob, fleet Fleet) (targets []string) {
	from := fleet.replica(b.Replica)
	if from == nil || !from.readable() {
		return nil
	}
	for i := range fleet.Replicas {
		to := &fleet.Replicas[i]
		leftOut := to.LeftOut != nil && to.LeftOut(b.Repository)
		if to.Up && fleet.serves(to) && !leftOut && !fleet.sameStorage(from, to) &&
			slices.Contains(to.Sources, b.Replica) {
			targets = append(targets, to.Name)
		}
	}
	return targets
}
