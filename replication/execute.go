package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

const (
	taskBound  = 12 * time.Hour // for one task; transfers that stall end earlier
	maxRepeats = 3
	// deleteWait bounds the wait for others who write what is to be deleted: a client's upload may take hours.
	deleteWait = time.Minute
)

var (
	errChanging = errors.New("it is pushed again and again")
	errBusy     = errors.New("somebody is writing it there")
)

// execute does what a task says, and confirms it. It writes a later write of the same name again if ours may lie over
// it.
func (e *Engine) execute(ctx context.Context, b *blobs, t Task) error {
	ctx, cancel := context.WithTimeout(ctx, taskBound)
	defer cancel()
	ctx, leave := e.during(ctx, t.Target)
	defer leave()
	entries := slices.DeleteFunc(slices.Clone(t.Entries), func(entry ledger.Entry) bool { return !e.wanted(entry, t) })
	if len(entries) == 0 {
		return nil
	}
	t.Entries = entries
	var pending error
	for range maxRepeats {
		err := e.performOnce(ctx, b, t)
		if errors.Is(err, errReferrerPending) {
			pending = err
		} else if err != nil {
			return err
		}
		again, err := e.overwritten(t)
		if err != nil {
			return err
		}
		if again == nil {
			return pending
		}
		t = *again
	}
	return errChanging
}

// performOnce confirms the tags of a task, but not its digest, if it returns errReferrerPending: so the task is tried
// again.
func (e *Engine) performOnce(ctx context.Context, b *blobs, t Task) error {
	holder := e.holder(t.Target)
	done, err := e.confirmable(t)
	if err != nil {
		return err
	}
	failed := e.perform(ctx, b, t)
	switch {
	case failed == nil:
	case errors.Is(failed, errReferrerPending):
		done = slices.DeleteFunc(done, func(entry ledger.Entry) bool { return !entry.IsTag() })
	case e.stillWanted(t):
		return e.logLost(t, failed)
	default:
		return nil // it was overtaken, though half of it may lie over what is wanted now
	}
	for _, entry := range done {
		if err := e.Ledger.Confirm(entry, holder); err != nil {
			return err
		}
	}
	return failed
}

func (e *Engine) perform(ctx context.Context, b *blobs, t Task) error {
	switch t.Action {
	case Delete:
		return e.deleteEntry(ctx, t)
	case Copy:
		return e.copyDigest(ctx, b, t)
	}
	return nil
}

// deleteEntry waits until nobody writes the name at the replica: what is confirmed is that no copy comes after the
// deletion.
func (e *Engine) deleteEntry(ctx context.Context, t Task) error {
	entry := t.Entries[0]
	waits, cancel := context.WithTimeoutCause(ctx, deleteWait, errBusy)
	defer cancel()
	done, uncertain, err := e.Writes.Delete(waits, writeName(t.Target, entry.Reference))
	if err != nil {
		return err
	}
	defer done()
	if uncertain {
		e.recheckLater(t.Target, entry.Reference)
	}
	if !e.wanted(entry, t) {
		return nil
	}
	e.rememberWriteBegun(t.Target, entry.Reference, entry.Stamp)
	err = e.deleteAt(ctx, t.Target, entry.Reference, isDeleted)
	if transfer.Hidden(err) {
		err = e.judgeHidden(ctx, t.Target, entry, err)
	}
	if err == nil && uncertain {
		err = errMayReappear
	}
	if err == nil {
		e.rememberWriteDone(t.Target, entry.Reference, entry.Stamp)
	}
	return err
}

// copyDigest puts the tags last: a tag is seen when all that it names is there.
func (e *Engine) copyDigest(ctx context.Context, b *blobs, t Task) error {
	i := e.newImage(b, t)
	if t.Entries[0].Blob {
		return i.ensureBlob(ctx, t.Digest, 0)
	}
	c, err := i.ensure(ctx, t.Digest, 0)
	if err != nil {
		return err
	}
	pending := i.ensureReferrers(ctx, t.Digest, 1)
	if pending != nil && !errors.Is(pending, errReferrerPending) {
		return pending
	}
	for _, entry := range t.Entries {
		if !entry.IsTag() {
			continue
		}
		if err := e.putTag(ctx, i, entry, t.Digest, c); err != nil {
			return err
		}
	}
	return pending
}

// putTag puts a tag, and with it the digest, unless the tag has moved on meanwhile. A tag that the source has lost is
// not put, only to be undone; and it is not confirmed, since the target does not have it.
func (e *Engine) putTag(ctx context.Context, i *image, entry ledger.Entry, digest string, c content) error {
	now, known, err := e.Ledger.Get(entry.Reference)
	if err != nil || !known || now.Deleted || now.Digest != digest {
		return err
	}
	still := e.sourceCheck(func(ctx context.Context) (bool, error) { return i.sourceHasTag(ctx, now) })
	if still != nil && !still(ctx) {
		return fmt.Errorf("%s: %w", entry.Name, errDeleted)
	}
	var lost error
	manifest := ledger.Reference{Repository: entry.Repository, Name: digest}
	err = e.guardedWrite(ctx, i.target, manifest, func(context.Context) error {
		err := e.guardedWrite(ctx, i.target, entry.Reference, func(context.Context) error {
			return e.reach(i.target).Repository(entry.Repository).PutTag(ctx, entry.Name, digest, c.mediaType, c.body)
		}, still)
		if !errors.Is(err, errDeleted) {
			return err
		}
		if gone, _ := e.deleted(entry.Reference); !gone {
			lost = err
		}
		return nil // the digest may have been put
	}, nil)
	return cmp.Or(err, lost)
}

// sourceHasTag asks a source that has confirmed the tag whether it still has it.
func (i *image) sourceHasTag(ctx context.Context, entry ledger.Entry) (bool, error) {
	for _, from := range i.sources {
		if slices.Contains(entry.Confirmed, from) {
			c, there, err := i.source(from, i.target).Repository(entry.Repository).Look(ctx, entry.Name)
			return there && c.Digest == entry.Digest, err
		}
	}
	return true, nil
}

// overwritten is the task that writes a later write again that the target took while we wrote an earlier one of the
// same name: nobody knows which came last. Nil: there is none.
func (e *Engine) overwritten(t Task) (*Task, error) {
	for _, entry := range t.Entries {
		now, known, err := e.Ledger.Get(entry.Reference)
		if err != nil {
			return nil, err
		}
		if !known || now.Stamp == entry.Stamp || !slices.Contains(now.Confirmed, t.Target) || t.Action == Confirm {
			continue
		}
		again, err := e.repairTask(now, t.Target)
		return &again, err
	}
	return nil, nil
}

// confirmable are the entries that can be confirmed once the task is done: the digest as well, since no tag is put
// without it. It is called before the task is performed, which does not bring what is pushed meanwhile.
func (e *Engine) confirmable(t Task) ([]ledger.Entry, error) {
	if t.Action != Copy || t.Entries[0].Blob {
		return slices.Clone(t.Entries), nil
	}
	digest, known, err := e.Ledger.Get(ledger.Reference{Repository: t.Repository, Name: t.Digest})
	if err != nil {
		return nil, err
	}
	done := slices.DeleteFunc(slices.Clone(t.Entries), func(entry ledger.Entry) bool {
		return entry.Reference == digest.Reference
	})
	if known && !digest.Deleted {
		done = append(done, digest)
	}
	return done, nil
}
