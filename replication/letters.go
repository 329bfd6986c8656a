package replication

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Bounds of trying again.
const (
	firstPause = time.Second
	mostPause  = 5 * time.Minute
	maxTries   = 20 // three quarters of an hour, about
	maxLetters = 10_000
)

// Letter is a task that has failed: it is tried again at Next, or, if it is Dead, when somebody says so.
type Letter struct {
	Task   Task
	Tries  int
	Next   time.Time
	Dead   bool
	Reason string
}

// letters are kept by task. Without a lock of its own.
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
func (l letters) failed(t Task, err error, final bool, now time.Time) {
	key := t.key()
	have := l[key]
	if have == nil {
		if len(l) == maxLetters {
			return
		}
		have = &Letter{}
		l[key] = have
	}
	have.Task, have.Reason = t, err.Error()
	have.Tries++
	have.Dead = final || have.Tries >= maxTries
	have.Next = now.Add(backoff(have.Tries, rand.Float64())) //nolint:gosec // jitter is no secret
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

// due are the tasks of a target whose time has come.
func (l letters) due(target string, now time.Time) (tasks []Task) {
	for _, have := range l {
		if have.Task.Target == target && !have.Dead && !now.Before(have.Next) {
			tasks = append(tasks, have.Task)
		}
	}
	return tasks
}

// next is when the first of them is due.
func (l letters) next() (first time.Time, ok bool) {
	for _, have := range l {
		if !have.Dead && (!ok || have.Next.Before(first)) {
			first, ok = have.Next, true
		}
	}
	return first, ok
}

func (l letters) list() (list []Letter) {
	for _, have := range l {
		list = append(list, *have)
	}
	slices.SortFunc(list, func(a, b Letter) int { return order(a.Task, b.Task) })
	return list
}

// of are those that stand in the way of an entry, by the replica that lacks it.
func (l letters) of(e Entry) map[string]Letter {
	found := map[string]Letter{}
	for key, have := range l {
		copies := have.Task.Action == Copy && !e.Deleted && have.Task.Repository == e.Repository && have.Task.Digest == e.Digest
		deletes := have.Task.Action == Delete && e.Deleted && key.Reference == e.Reference
		if copies || deletes {
			found[have.Task.Target] = *have
		}
	}
	return found
}
