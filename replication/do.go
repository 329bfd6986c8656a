package replication

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/transfer"
)

const (
	taskBound = 12 * time.Hour // for one task; transfers that stall end earlier
	maxMends  = 3
)

var errChanging = errors.New("it is pushed again and again")

// do what a task says, and confirm it.
func (e *Engine) do(ctx context.Context, b *blobs, t Task) error {
	ctx, cancel := context.WithTimeout(ctx, taskBound)
	defer cancel()
	entries := slices.DeleteFunc(slices.Clone(t.Entries), func(entry Entry) bool { return !e.wanted(entry, t) })
	if len(entries) == 0 {
		return nil
	}
	t.Entries = entries
	var later error
	for range maxMends {
		err := e.act(ctx, b, t)
		if errors.Is(err, errLater) {
			later = err
			// The digest stays to be confirmed, so that the task is tried again.
			t.Entries = slices.DeleteFunc(slices.Clone(t.Entries), func(entry Entry) bool { return !entry.isTag() })
		} else if err != nil {
			if !slices.ContainsFunc(t.Entries, func(entry Entry) bool { return e.wanted(entry, t) }) {
				return nil // nobody asks for it any more
			}
			return e.lost(t, err)
		}
		if err := e.confirm(t, err == nil); err != nil {
			return err
		}
		mend, err := e.overrun(t)
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

func (e *Engine) act(ctx context.Context, b *blobs, t Task) error {
	switch t.Action {
	case Delete:
		return e.delete(ctx, t)
	case Copy:
		return e.copy(ctx, b, t)
	}
	return nil
}

func (e *Engine) delete(ctx context.Context, t Task) error {
	what := t.Entries[0].Reference
	e.wrote(t.Target, what, t.Entries[0].Stamp)
	if what.Blob {
		return transfer.DeleteBlob(ctx, e.reach(t.Target), t.Repository, what.Name, nil)
	}
	return transfer.DeleteManifest(ctx, e.reach(t.Target), t.Repository, what.Name, nil)
}

// copy puts the tags last: a tag is seen when all that it names is there.
func (e *Engine) copy(ctx context.Context, b *blobs, t Task) error {
	i := e.newImage(b, t)
	c, err := i.bring(ctx, t.Digest, 0)
	if err != nil {
		return err
	}
	later := i.referrers(ctx, t.Digest, 1)
	if later != nil && !errors.Is(later, errLater) {
		return later
	}
	for _, entry := range t.Entries {
		if !entry.isTag() {
			continue
		}
		now, known, err := e.Ledger.Get(entry.Reference)
		if err != nil {
			return err
		}
		if !known || now.Deleted || now.Digest != t.Digest {
			continue // it has moved on while we copied
		}
		e.wrote(t.Target, entry.Reference, now.Stamp)
		err = i.put(ctx, t.Digest, func() error {
			return transfer.PutTag(ctx, e.reach(t.Target), t.Repository, entry.Name, t.Digest, c.mediaType, c.body, nil)
		})
		if err != nil {
			return err
		}
	}
	return later
}

// overrun is what to do after the target has taken a later write of the same name while we wrote the earlier one: which came
// last there nobody knows, so the later one is written again.
func (e *Engine) overrun(t Task) (*Task, error) {
	for _, entry := range t.Entries {
		now, known, err := e.Ledger.Get(entry.Reference)
		if err != nil {
			return nil, err
		}
		if !known || now.Stamp == entry.Stamp || !slices.Contains(now.Confirmed, t.Target) || t.Action == Confirm {
			continue
		}
		mend, err := e.again(now, t.Target)
		return &mend, err
	}
	return nil, nil
}

// confirm has the ledger know, if it is whole of the digest as well: the tag was not put without it.
func (e *Engine) confirm(t Task, whole bool) error {
	entries := t.Entries
	if t.Action == Copy && whole {
		whole, known, err := e.Ledger.Get(Reference{t.Repository, t.Digest, false})
		if err != nil {
			return err
		}
		if known && !whole.Deleted && !slices.ContainsFunc(entries, func(e Entry) bool { return e.Reference == whole.Reference }) {
			entries = append(slices.Clone(entries), whole)
		}
	}
	for _, entry := range entries {
		if err := e.Ledger.Confirm(entry, t.Target); err != nil {
			return err
		}
	}
	return nil
}
