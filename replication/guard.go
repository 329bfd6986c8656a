package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-gateway/fairlead/hlc"
	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
)

// undoBound is for deleting what should not have been written. Rechecks look after what is not done by then.
const undoBound = 30 * time.Second

var (
	errDeleted = fmt.Errorf("it was deleted: %w", errNoSource)
	// errMayReappear has a deletion made again after a pause.
	errMayReappear = errors.New("it is deleted, but a copy that broke off there may yet be committed")
	errOutOfBand   = errors.New("the tag was deleted, and names a digest that is not in the ledger")
	errPushedAgain = errors.New("it was pushed again")
)

func writeName(target string, what ledger.Reference) transfer.Name {
	return transfer.Name{Replica: target, Repository: what.Repository, Reference: what.Name, Blob: what.Blob}
}

// guardedWrite does one write to a replica, and undoes it if what it wrote was deleted meanwhile: it asks the ledger
// before and after. The write is remembered, for when word of a deletion comes later still. The context of do ends when
// a deletion of the name begins here. still, if it is not nil, asks afterwards whether the source still has what was
// copied.
func (e *Engine) guardedWrite(
	ctx context.Context, target string, what ledger.Reference,
	do func(context.Context) error, still func(context.Context) bool,
) error {
	cut, done, err := e.Writes.Write(ctx, writeName(target, what))
	if err != nil {
		return err
	}
	now, _, err := e.Ledger.Get(what)
	if err == nil && now.Deleted {
		err = fmt.Errorf("%s: %w", what.Name, errDeleted)
	}
	if err != nil {
		done(nil)
		return err
	}
	e.rememberWriteBegun(target, what, now.Stamp)
	err = do(cut)
	kept := err != nil || still == nil || still(ctx)
	done(err)
	if gone := e.checkNotDeleted(what); gone != nil {
		if err == nil || transfer.Uncertain(err) {
			e.undo(ctx, target, what, isDeleted, err)
		}
		return gone
	}
	switch {
	case errors.Is(err, transfer.ErrDeleted):
		return fmt.Errorf("%s: %w", what.Name, errDeleted)
	case err != nil:
		return err
	case !kept:
		e.undo(ctx, target, what, unchangedSince(now.Stamp), nil)
		return fmt.Errorf("%s: %w", what.Name, errDeleted)
	}
	e.rememberWriteDone(target, what, now.Stamp)
	return nil
}

// mayDelete decides by what the ledger says now of a name whether it may be deleted at a replica.
type mayDelete func(now ledger.Entry, known bool) bool

// isDeleted: the ledger has the deletion, and no later push.
func isDeleted(now ledger.Entry, known bool) bool { return known && now.Deleted }

// unchangedSince: the ledger has no push after a stamp.
func unchangedSince(before hlc.Stamp) mayDelete {
	return func(now ledger.Entry, known bool) bool { return !known || now.Deleted || now.Stamp == before }
}

// undo deletes what we have written, as long as it may. wrote is how the write ended. The name is rechecked afterwards:
// what has failed is tried again then, and a push that was recorded only after its content was deleted is copied again.
func (e *Engine) undo(ctx context.Context, target string, what ledger.Reference, may mayDelete, wrote error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoBound)
	defer cancel()
	done, uncertain, err := e.Writes.Delete(ctx, writeName(target, what))
	if err == nil {
		err = e.deleteAt(ctx, target, what, may)
		done()
	}
	if err != nil && !errors.Is(err, errPushedAgain) {
		e.Log.Warn("a copy of what was deleted meanwhile is not yet undone; it is tried again",
			"replica", target, "repository", what.Repository, "name", what.Name, "error", err)
	}
	e.Recheck(target, what)
	if err != nil || uncertain || transfer.Uncertain(wrote) {
		e.recheckLater(target, what)
	}
}

// deleteAt deletes what a reference names, as long as it may. A tag that the registry cannot delete goes with what it
// names, unless the ledger does not know that: then it was pushed out of band.
func (e *Engine) deleteAt(ctx context.Context, target string, what ledger.Reference, may mayDelete) error {
	if err := e.checkMayDelete(what, may); err != nil {
		return err
	}
	at := e.reach(target)
	switch {
	case what.Blob:
		return at.Repository(what.Repository).DeleteBlob(ctx, what.Name)
	case !what.IsTag():
		return at.Repository(what.Repository).DeleteManifest(ctx, what.Name)
	}
	return at.Repository(what.Repository).DeleteTag(ctx, what.Name, func(digest string) error {
		if err := e.checkMayDelete(what, may); err != nil {
			return err
		}
		now, _, err := e.Ledger.Get(what)
		if err != nil || now.Digest == digest || now.Digest == "" {
			return err
		}
		_, known, err := e.Ledger.Get(ledger.Reference{Repository: what.Repository, Name: digest})
		if err == nil && !known {
			err = errOutOfBand
		}
		return err
	})
}

// checkMayDelete fails if the name may not be deleted.
func (e *Engine) checkMayDelete(what ledger.Reference, may mayDelete) error {
	now, known, err := e.Ledger.Get(what)
	if err == nil && !may(now, known) {
		err = fmt.Errorf("%s: %w", what.Name, errPushedAgain)
	}
	return err
}

// deleted reports whether the ledger has a name as deleted. A source may not have heard of that.
func (e *Engine) deleted(what ledger.Reference) (bool, error) {
	entry, known, err := e.Ledger.Get(what)
	return known && entry.Deleted, err
}

// checkNotDeleted fails with errDeleted if the ledger has the name as deleted.
func (e *Engine) checkNotDeleted(what ledger.Reference) error {
	gone, err := e.deleted(what)
	if gone {
		return fmt.Errorf("%s: %w", what.Name, errDeleted)
	}
	return err
}

// sourceCheck is a check for after a copy, where others may delete without the ledger hearing of it: if the source has
// lost the content, somebody has deleted it who could not know of the copy. Nil: nobody can.
func (e *Engine) sourceCheck(has func(context.Context) (bool, error)) func(context.Context) bool {
	if !e.UnseenDeletes {
		return nil
	}
	return func(ctx context.Context) bool {
		there, err := has(ctx)
		return there || err != nil
	}
}
