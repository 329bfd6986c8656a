package replication

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/backoff"
	"github.com/fairlead-gateway/fairlead/ledger"
)

// Bounds of trying again.
const (
	mostPause   = 5 * time.Minute
	maxTries    = 20   // some 45 minutes
	maxFailures = 4096 // of one replica
)

var pauses = backoff.Policy{First: time.Second, Most: mostPause}

// Failure is a task that has failed. It is tried again at Next, or, if it is given up, by Retry alone.
type Failure struct {
	Task    Task
	Tries   int
	Next    time.Time
	GivenUp bool
	Reason  string
}

// failures are those of one replica, by task. The engine's mu guards them.
type failures map[taskKey]*Failure

// note remembers a failure; nil: there are too many. The next scan finds such a task again. final: trying again is in
// vain.
func (f failures) note(t Task, err error, final bool, now time.Time) (have *Failure) {
	key := t.key()
	have = f[key]
	if have == nil {
		if len(f) >= maxFailures {
			return nil
		}
		have = &Failure{}
		f[key] = have
	}
	have.Task, have.Reason = t, err.Error()
	have.Tries++
	have.GivenUp = final || have.Tries >= maxTries
	have.Next = now.Add(pauses.Wait(have.Tries, rand.Float64())) //nolint:gosec // jitter is no secret
	return have
}

// blocks reports whether the task is to wait for its failure to be due. It drops the failure if a later write makes it
// obsolete.
func (f failures) blocks(t Task, now time.Time) bool {
	have := f[t.key()]
	if have == nil {
		return false
	}
	if have.Task.Action != t.Action || t.stamp().Compare(have.Task.stamp()) > 0 {
		delete(f, t.key())
		return false
	}
	return have.GivenUp || now.Before(have.Next)
}

// mergeIfBlocked adds a task that is to wait to the one that has failed.
func (f failures) mergeIfBlocked(t Task, now time.Time) bool {
	if !f.blocks(t, now) {
		return false
	}
	have := f[t.key()]
	have.Task.Entries = slices.Clone(have.Task.Entries) // others may be reading it
	have.Task = merge(have.Task, t)
	return true
}

// due lists the tasks whose time has come, and when to ask again: when the next is due, after a tick at the latest.
func (f failures) due(now time.Time) (tasks []Task, next time.Time) {
	next = now.Add(tick)
	for _, have := range f {
		switch {
		case have.GivenUp:
		case !now.Before(have.Next):
			tasks = append(tasks, have.Task)
		case have.Next.Before(next):
			next = have.Next
		}
	}
	return tasks, next
}

func (f failures) countGivenUp() (n int) {
	for _, have := range f {
		if have.GivenUp {
			n++
		}
	}
	return n
}

// of is the failure that keeps the target from having an entry.
func (f failures) of(e ledger.Entry, target string) (Failure, bool) {
	key := taskKey{target, ledger.Reference{Repository: e.Repository, Name: e.Digest}}
	if e.Deleted {
		key = taskKey{target, e.Reference}
	}
	have := f[key]
	if have == nil || (have.Task.Action == Delete) != e.Deleted || have.Task.Action == Confirm {
		return Failure{}, false
	}
	return *have, true
}

// Failures lists the tasks that have failed, first those that would begin first.
func (e *Engine) Failures() (list []Failure) {
	e.mu.Lock()
	for _, w := range e.workers {
		for _, have := range w.failures {
			list = append(list, *have)
		}
	}
	e.mu.Unlock()
	slices.SortFunc(list, func(a, b Failure) int { return compareTasks(a.Task, b.Task) })
	return list
}

// FailuresOf lists those that keep replicas from having one entry, by replica.
func (e *Engine) FailuresOf(entry ledger.Entry) map[string]Failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]Failure{}
	for name, w := range e.workers {
		if have, ok := w.failures.of(entry, name); ok {
			found[name] = have
		}
	}
	return found
}

// Retry has failures tried again at once, with all their tries and a closed breaker, and returns how many.
func (e *Engine) Retry(which func(Failure) bool) (count int) {
	e.mu.Lock()
	now := time.Now()
	for _, w := range e.workers {
		for _, have := range w.failures {
			if which(*have) {
				have.Tries, have.GivenUp, have.Next = 0, false, now
				w.nextRetry, w.breaker = now, breaker{}
				count++
			}
		}
	}
	e.mu.Unlock()
	e.Wake()
	return count
}
