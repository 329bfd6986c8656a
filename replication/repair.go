package replication

import (
	"context"
	"errors"
	"slices"

	"github.com/fairlead-gateway/fairlead/ledger"
)

var (
	errStopped   = errors.New("replication does not run")
	errNotServed = errors.New("another gateway serves the replica, it takes no writes, or nobody who is up has it")
)

// Repair copies to a replica what an entry says, or deletes it there, even if the replica has confirmed it: somebody
// has looked, and it is not so. It returns when that is done. An entry that is not the ledger's latest is left alone.
func (e *Engine) Repair(ctx context.Context, entry ledger.Entry, target string) error {
	fleet := e.Gateway.Fleet()
	without := entry
	without.Confirmed = slices.DeleteFunc(slices.Clone(entry.Confirmed), func(name string) bool {
		return fleet.sameStorage(fleet.replica(name), fleet.replica(target)) // they lack it as well
	})
	tasks := plan([]ledger.Entry{without}, target, fleet)
	if len(tasks) == 0 {
		return errNotServed
	}
	t := tasks[0]
	t.Force = slices.Contains(entry.Confirmed, target)
	return e.executeNow(ctx, t)
}

// executeNow does what a task says at once, ahead of the queue.
func (e *Engine) executeNow(ctx context.Context, t Task) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b, leave, err := e.waitTurn(ctx, t)
	if err != nil {
		return err
	}
	defer leave()
	defer context.AfterFunc(b.ctx, func() { cancel(errStopped) })()
	err = e.execute(ctx, b, t)
	e.countTask(t, err)
	return err
}

// waitTurn waits for running tasks that write the same names, and then counts t among the running.
func (e *Engine) waitTurn(ctx context.Context, t Task) (b *blobs, leave func(), err error) {
	var w *worker
	for {
		e.mu.Lock()
		if e.blobs == nil {
			e.mu.Unlock()
			return nil, nil, errStopped
		}
		if w = e.worker(t.Target); !w.conflicts(t) {
			break
		}
		freed := e.taskEnded
		e.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	defer e.mu.Unlock()
	w.begin(t)
	e.running.Add(1)
	return e.blobs, func() {
		e.mu.Lock()
		e.endTask(w, t)
		e.mu.Unlock()
		e.Wake()
		e.running.Done()
	}, nil
}

// repairName succeeds as well if nobody has any longer what was to be copied.
func (e *Engine) repairName(ctx context.Context, target string, entry ledger.Entry) error {
	t, err := e.repairTask(entry, target)
	if err != nil {
		return err
	}
	err = e.executeNow(ctx, t)
	if errors.Is(err, errNoSource) && e.goneEverywhere(ctx, target, entry) {
		return nil
	}
	return err
}

// goneEverywhere reports whether all replicas that have confirmed the entry say that they do not have it. Then others
// have deleted it without the ledger hearing of it, and there is nothing to wait for.
func (e *Engine) goneEverywhere(ctx context.Context, target string, entry ledger.Entry) bool {
	if !e.UnseenDeletes {
		return false
	}
	fleet := e.Gateway.Fleet()
	for _, name := range entry.Confirmed {
		r := fleet.replica(name)
		if name == target || r == nil {
			continue
		}
		if !r.readable() {
			return false
		}
		if so, err := e.isAsRecorded(ctx, name, entry); so || err != nil {
			return false
		}
	}
	return true
}

// repairTask is a task for what a replica has confirmed, and may have lost. It is worth a try even if no other has
// confirmed it: of a tag the replica may have the manifest, and of a blob the ledger does not say who has it. Tags of a
// digest are rechecked: some registries delete them with the digest.
func (e *Engine) repairTask(entry ledger.Entry, target string) (Task, error) {
	t := Task{
		Action: Copy, Target: target, Repository: entry.Repository, Digest: entry.Digest,
		Entries: []ledger.Entry{entry}, Force: true,
	}
	if entry.Deleted {
		t.Action = Delete
		return t, nil
	}
	if entry.Blob {
		t.Sources = e.Gateway.Fleet().readable(target)
		return t, nil
	}
	holders := []ledger.Entry{entry}
	manifest, known, err := e.Ledger.Get(ledger.Reference{Repository: entry.Repository, Name: entry.Digest})
	if err == nil && !entry.IsTag() {
		err = e.recheckTags(entry, target)
	}
	if known && !manifest.Deleted {
		holders = append(holders, manifest)
	}
	fleet := e.Gateway.Fleet()
	if to := fleet.replica(target); to != nil {
		t.Sources = fleet.sources(holders, to)
	}
	return t, err
}

func (e *Engine) recheckTags(digest ledger.Entry, target string) error {
	tags, err := e.Ledger.Tagged(digest.Repository, digest.Digest, maxRecentWrites)
	var names []ledger.Reference
	for _, tag := range tags {
		if slices.Contains(tag.Confirmed, target) {
			names = append(names, tag.Reference)
		}
	}
	e.Recheck(target, names...)
	return err
}

// logLost logs it if no replica has any longer what a client was told is kept. It returns err.
func (e *Engine) logLost(t Task, err error) error {
	switch {
	case t.Action != Copy || !t.Force || !errors.Is(err, errNoSource):
	case e.UnseenDeletes:
		e.Log.Warn("what was pushed is on no replica that can be asked: push it again, "+
			"if it was not deleted through another gateway",
			"replica", t.Target, "repository", t.Repository, "digest", t.Digest, "error", err)
	default:
		e.Log.Error("what was pushed is on no replica that can be asked: push it again",
			"replica", t.Target, "repository", t.Repository, "digest", t.Digest, "error", err)
	}
	return err
}
