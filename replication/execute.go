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
	// freeBound is for others to end what they write where we want to delete: a client's upload may take hours.
	deleteWait = time.Minute
)

var (
	errChanging = errors.New("it is pushed again and again")
	errBusy     = errors.New("somebody is writing it there")
)

// do what a task says, and confirm it.
func (e *Engine) do(ctx context.Context, b *blobs, t Task) error {
	ctx, cancel := context.WithTimeout(ctx, taskBound)
	defer cancel()
	entries := slices.DeleteFunc(slices.Clone(t.Entries), func(entry ledger.Entry) bool { return !e.wanted(entry, t) })
	if len(entries) == 0 {
		return nil
	}
	t.Entries = entries
	var later error
	for range maxRepeats {
		done, err := e.confirmable(t)
		if err != nil {
			return err
		}
		err = e.perform(ctx, b, t)
		if errors.Is(err, errReferrerPending) {
			later = err
			// The digest stays to be confirmed, so that the task is tried again.
			done = slices.DeleteFunc(done, func(entry ledger.Entry) bool { return !entry.IsTag() })
		} else if err != nil {
			if slices.ContainsFunc(t.Entries, func(entry ledger.Entry) bool { return e.wanted(entry, t) }) {
				return e.logLost(t, err)
			}
			done = nil // nobody asks for it any more, but it may have come half the way, over what is asked for now
		}
		for _, entry := range done {
			if err := e.Ledger.Confirm(entry, t.Target); err != nil {
				return err
			}
		}
		mend, err := e.overwritten(t)
		if err != nil {
			return err
		}
		if mend == nil {
			return later
		}
		t = *mend
	}
	return errChanging
}

func (e *Engine) perform(ctx context.Context, b *blobs, t Task) error {
	switch t.Action {
	case Delete:
		return e.delete(ctx, t)
	case Copy:
		return e.copy(ctx, b, t)
	}
	return nil
}

// delete waits until nobody writes the name there: what is confirmed is that no copy comes after.
func (e *Engine) delete(ctx context.Context, t Task) error {
	entry := t.Entries[0]
	waits, cancel := context.WithTimeoutCause(ctx, deleteWait, errBusy)
	defer cancel()
	done, doubtful, err := e.Writes.Delete(waits, nameOf(t.Target, entry.Reference))
	if err != nil {
		return err
	}
	defer done()
	if doubtful {
		e.recheckRepeatedly(t.Target, entry.Reference)
	}
	if !e.wanted(entry, t) {
		return nil
	}
	e.rememberWriteBegun(t.Target, entry.Reference, entry.Stamp)
	err = e.deleteAt(ctx, t.Target, entry.Reference, isDeleted)
	if transfer.Hidden(err) {
		err = e.judgeHidden(ctx, t.Target, entry, err)
	}
	if err == nil && doubtful {
		err = errMayReappear
	}
	if err == nil {
		e.rememberWriteDone(t.Target, entry.Reference, entry.Stamp)
	}
	return err
}

// copy puts the tags last: a tag is seen when all that it names is there.
func (e *Engine) copy(ctx context.Context, b *blobs, t Task) error {
	i := e.newImage(b, t)
	if t.Entries[0].Blob {
		return i.blob(ctx, t.Digest, 0)
	}
	c, err := i.ensure(ctx, t.Digest, 0)
	if err != nil {
		return err
	}
	later := i.referrers(ctx, t.Digest, 1)
	if later != nil && !errors.Is(later, errReferrerPending) {
		return later
	}
	for _, entry := range t.Entries {
		if !entry.IsTag() {
			continue
		}
		if err := e.tag(ctx, i, entry, t.Digest, c); err != nil {
			return err
		}
	}
	return later
}

// tag puts a tag, unless it has moved on while we copied. With it the digest is put as well. What the
// source has lost is not put only to be undone; it is not confirmed either, since the target does not have it.
func (e *Engine) tag(ctx context.Context, i *image, entry ledger.Entry, digest string, c content) error {
	now, known, err := e.Ledger.Get(entry.Reference)
	if err != nil || !known || now.Deleted || now.Digest != digest {
		return err
	}
	still := e.sourceHasIt(func(ctx context.Context) (bool, error) { return i.sourceHasTag(ctx, now) })
	if still != nil && !still(ctx) {
		return fmt.Errorf("%s: %w", entry.Name, errDeleted)
	}
	var lost error
	err = e.guardedWrite(ctx, i.target, ledger.Reference{Repository: entry.Repository, Name: digest}, func(context.Context) error {
		err := e.guardedWrite(ctx, i.target, entry.Reference, func(context.Context) error {
			return transfer.PutTag(ctx, e.reach(i.target), entry.Repository, entry.Name, digest, c.mediaType, c.body, nil)
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

// tagged asks a source that is known to have had the tag whether it has it still.
func (i *image) sourceHasTag(ctx context.Context, entry ledger.Entry) (bool, error) {
	for _, from := range i.sources {
		if slices.Contains(entry.Confirmed, from) {
			c, there, err := transfer.Look(ctx, i.source(from, i.target), entry.Repository, entry.Name, nil)
			return there && c.Digest == entry.Digest, err
		}
	}
	return true, nil
}

// overrun is what to do after the target has taken a later write of the same name while we wrote the earlier one: which came
// last there nobody knows, so the later one is written again.
func (e *Engine) overwritten(t Task) (*Task, error) {
	for _, entry := range t.Entries {
		now, known, err := e.Ledger.Get(entry.Reference)
		if err != nil {
			return nil, err
		}
		if !known || now.Stamp == entry.Stamp || !slices.Contains(now.Confirmed, t.Target) || t.Action == Confirm {
			continue
		}
		mend, err := e.repairTask(now, t.Target)
		return &mend, err
	}
	return nil, nil
}

// comesTo is what can be confirmed once the task is done: the digest as well, since no tag is put without it. It is asked for before, since
// what is pushed meanwhile is not what the task brings.
func (e *Engine) confirmable(t Task) ([]ledger.Entry, error) {
	if t.Action != Copy || t.Entries[0].Blob {
		return slices.Clone(t.Entries), nil
	}
	whole, known, err := e.Ledger.Get(ledger.Reference{Repository: t.Repository, Name: t.Digest})
	if err != nil {
		return nil, err
	}
	done := slices.DeleteFunc(slices.Clone(t.Entries), func(entry ledger.Entry) bool { return entry.Reference == whole.Reference })
	if known && !whole.Deleted {
		done = append(done, whole)
	}
	return done, nil
}
