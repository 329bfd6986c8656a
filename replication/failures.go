package replication

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
)

// Bounds of trying again.
const (
	firstPause = time.Second
	mostPause  = 5 * time.Minute
	maxTries   = 20   // three quarters of an hour, about
	maxLetters = 4096 // of one replica
)

// Letter is a task that has failed: it is tried again at Next, or, if it is Dead, when somebody says so.
type Letter struct {
	Task   Task
	Tries  int
	Next   time.Time
	Dead   bool
	Reason string
}

// letters are those of one replica, by task. Without a lock of its own.
type letters map[taskKey]*Letter

// backoff is the pause after a number of tries, less up to a half of it by chance: random is from 0 to 1.
func backoff(tries int, random float64) time.Duration {
	pause := mostPause
	if tries < 10 {
		pause = min(firstPause<<(tries-1), mostPause)
	}
	return pause - time.Duration(random/2*float64(pause))
}

// failed takes note. Of too many letters the new ones are not kept: those tasks are found again by the next scan.
func (l letters) failed(t Task, err error, final bool, now time.Time) (have *Letter) {
	key := t.key()
	have = l[key]
	if have == nil {
		if len(l) >= maxLetters {
			return nil
		}
		have = &Letter{}
		l[key] = have
	}
	have.Task, have.Reason = t, err.Error()
	have.Tries++
	have.Dead = final || have.Tries >= maxTries
	have.Next = now.Add(backoff(have.Tries, rand.Float64())) //nolint:gosec // jitter is no secret
	return have
}

// blocks: the task is to wait. Something newer of the same name begins anew.
func (l letters) blocks(t Task, now time.Time) bool {
	have := l[t.key()]
	if have == nil {
		return false
	}
	if have.Task.Action != t.Action || t.stamp().Compare(have.Task.stamp()) > 0 {
		delete(l, t.key())
		return false
	}
	return have.Dead || now.Before(have.Next)
}

// keeps: the task is to wait, and to be done with what has failed.
func (l letters) keeps(t Task, now time.Time) bool {
	if !l.blocks(t, now) {
		return false
	}
	have := l[t.key()]
	have.Task.Entries = slices.Clone(have.Task.Entries) // others may be reading it
	have.Task = merge(have.Task, t)
	return true
}

// due are the tasks whose time has come, and when the first of the others is due; never later than a tick.
func (l letters) due(now time.Time) (tasks []Task, next time.Time) {
	next = now.Add(tick)
	for _, have := range l {
		switch {
		case have.Dead:
		case !now.Before(have.Next):
			tasks = append(tasks, have.Task)
		case have.Next.Before(next):
			next = have.Next
		}
	}
	return tasks, next
}

func (l letters) dead() (n int) {
	for _, have := range l {
		if have.Dead {
			n++
		}
	}
	return n
}

// about is the letter that stands in the way of an entry.
func (l letters) about(e ledger.Entry, target string) (Letter, bool) {
	key := taskKey{target, ledger.Reference{Repository: e.Repository, Name: e.Digest}}
	if e.Deleted {
		key = taskKey{target, e.Reference}
	}
	have := l[key]
	if have == nil || (have.Task.Action == Delete) != e.Deleted || have.Task.Action == Confirm {
		return Letter{}, false
	}
	return *have, true
}

// Letters lists what has failed and is tried again, or is not.
func (e *Engine) Letters() (list []Letter) {
	e.mu.Lock()
	for _, l := range e.lanes {
		for _, have := range l.letters {
			list = append(list, *have)
		}
	}
	e.mu.Unlock()
	slices.SortFunc(list, func(a, b Letter) int { return order(a.Task, b.Task) })
	return list
}

// LettersOf are those about one entry, by the replica that lacks it.
func (e *Engine) LettersOf(entry ledger.Entry) map[string]Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]Letter{}
	for name, l := range e.lanes {
		if have, ok := l.letters.about(entry, name); ok {
			found[name] = have
		}
	}
	return found
}

// Retry tries again what has failed, at once and from the beginning, and tells how many that is.
func (e *Engine) Retry(which func(Letter) bool) (count int) {
	e.mu.Lock()
	now := time.Now()
	for _, l := range e.lanes {
		for _, have := range l.letters {
			if which(*have) {
				have.Tries, have.Dead, have.Next = 0, false, now
				l.due, l.pause = now, pause{}
				count++
			}
		}
	}
	e.mu.Unlock()
	e.rouse()
	return count
}
