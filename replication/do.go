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
		done, err := e.comesTo(t)
		if err != nil {
			return err
		}
		err = e.act(ctx, b, t)
		if errors.Is(err, errLater) {
			later = err
			// The digest stays to be confirmed, so that the task is tried again.
			done = slices.DeleteFunc(done, func(entry Entry) bool { return !entry.isTag() })
		} else if err != nil {
			if !slices.ContainsFunc(t.Entries, func(entry Entry) bool { return e.wanted(entry, t) }) {
				return nil // nobody asks for it any more
			}
			return e.lost(t, err)
		}
		for _, entry := range done {
			if err := e.Ledger.Confirm(entry, t.Target); err != nil {
				return err
			}
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
	what, said := t.Entries[0].Reference, t.Entries[0].Stamp
	remove := transfer.DeleteManifest
	if what.Blob {
		remove = transfer.DeleteBlob
	}
	e.writes(t.Target, what, said)
	err := remove(ctx, e.reach(t.Target), t.Repository, what.Name, nil)
	if err == nil {
		e.wrote(t.Target, what, said)
	}
	return err
}

// copy puts the tags last: a tag is seen when all that it names is there.
func (e *Engine) copy(ctx context.Context, b *blobs, t Task) error {
	i := e.newImage(b, t)
	if t.Entries[0].Blob {
		return i.blob(ctx, t.Digest, 0)
	}
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
		e.writes(t.Target, entry.Reference, now.Stamp)
		err = i.put(ctx, t.Digest, func() error {
			return transfer.PutTag(ctx, e.reach(t.Target), t.Repository, entry.Name, t.Digest, c.mediaType, c.body, nil)
		})
		if err != nil {
			return err
		}
		e.wrote(t.Target, entry.Reference, now.Stamp)
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

// comesTo is what can be confirmed once the task is done: the digest as well, since no tag is put without it. It is asked for before, since
// what is pushed meanwhile is not what the task brings.
func (e *Engine) comesTo(t Task) ([]Entry, error) {
	if t.Action != Copy || t.Entries[0].Blob {
		return slices.Clone(t.Entries), nil
	}
	whole, known, err := e.Ledger.Get(Reference{t.Repository, t.Digest, false})
	if err != nil {
		return nil, err
	}
	done := slices.DeleteFunc(slices.Clone(t.Entries), func(entry Entry) bool { return entry.Reference == whole.Reference })
	if known && !whole.Deleted {
		done = append(done, whole)
	}
	return done, nil
}
