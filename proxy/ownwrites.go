package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// unsettled reports whether we are writing there what is asked for, and have not yet heard whether it was deleted
// meanwhile by a gateway that does not tell us.
func (x *exchange) unsettled(replica *router.Replica) bool {
	of := x.target
	return x.proxy.UnseenDeletes && (of.blob || of.manifest) && x.proxy.Writes.Writing(transfer.Name{
		Replica: replica.Name, Repository: of.repository, Reference: of.reference, Blob: of.blob,
	})
}

// forbidDeletes has nobody delete in our own name, at that replica, what the client puts there, until it is recorded:
// who deletes looks then whether that is still wanted, and would take along what the client was told is kept.
func (x *exchange) forbidDeletes(ctx context.Context, replica string, names ...ledger.Reference) error {
	for _, of := range names {
		done, err := x.proxy.Writes.Hold(ctx, transfer.Name{
			Replica: replica, Repository: of.Repository, Reference: of.Name, Blob: of.Blob,
		})
		if err != nil {
			return err
		}
		x.noDeletes = append(x.noDeletes, done)
	}
	return nil
}

// allowDeletes ends that: what was put is recorded, or was not accepted.
func (x *exchange) allowDeletes() {
	for _, done := range x.noDeletes {
		done()
	}
	x.noDeletes = nil
}

// written are the names that the request writes where it is accepted. What a manifest brings to life again beside them
// is for guard.
func (x *exchange) written() []ledger.Reference {
	switch put := x.in.Method == http.MethodPut; {
	case put && x.target.manifest && x.put.body != nil && !x.target.isDigest():
		return []ledger.Reference{x.reference(), {Repository: x.target.repository, Name: oci.Digest(x.put.body)}}
	case put && x.target.manifest:
		return []ledger.Reference{x.reference()}
	case x.isStep() && (put || x.in.Method == http.MethodPost):
		if digest := committed(x.values()); digest != "" {
			return []ledger.Reference{{Repository: x.target.repository, Name: digest, Blob: true}}
		}
	}
	return nil
}

// undoBound is for taking back what should not have been written.
const undoBound = 30 * time.Second

// errDeleted means that nobody has it, whoever gives it out.
var errDeleted = errors.New("it was deleted")

// ownWrite is one write of the healer, to the owner of a push.
type ownWrite struct {
	*healer
	pushing
	need manifest.Descriptor
	from transfer.Replica
}

// write asks the ledger before and after, and undoes what was written if it was deleted meanwhile. The context of do
// ends when somebody wants to delete the same at the owner.
func (o ownWrite) write(ctx context.Context, do func(context.Context) error) error {
	cut, done, err := o.writes.Write(ctx, o.name())
	if err != nil {
		return err
	}
	if o.gone(o.need) {
		done(nil)
		return errDeleted
	}
	o.replication.Brought(o.what(), o.owner)
	err = do(cut)
	kept := err != nil || !o.unseenDeletes || o.sourceHasIt(ctx)
	done(err)
	switch {
	case o.gone(o.need):
		if err == nil || transfer.Uncertain(err) {
			o.undo(ctx, true)
		}
		return errDeleted
	case errors.Is(err, transfer.ErrDeleted):
		return errDeleted
	case !kept:
		o.undo(ctx, false)
		return errDeleted
	}
	return err
}

func (o ownWrite) what() ledger.Reference {
	return ledger.Reference{Repository: o.repository, Name: o.need.Digest, Blob: !o.need.Manifest}
}

func (o ownWrite) name() transfer.Name {
	return transfer.Name{Replica: o.owner, Repository: o.repository, Reference: o.need.Digest, Blob: !o.need.Manifest}
}

// sourceHasIt asks whether who had it has it yet: if not, somebody has deleted it who could not know of the copy.
func (o ownWrite) sourceHasIt(ctx context.Context) bool {
	has := transfer.Repository.HasBlob
	if o.need.Manifest {
		has = transfer.Repository.HasManifest
	}
	there, err := has(o.at(o.from), ctx, o.need.Digest)
	return there || err != nil
}

// undo has the right to delete that the client has, which may be none. Whoever is told by Recheck deletes what is left.
func (o ownWrite) undo(ctx context.Context, recorded bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoBound)
	defer cancel()
	defer o.replication.Recheck(o.what(), o.owner)
	err := func() error {
		done, _, err := o.writes.Delete(ctx, o.name())
		if err != nil {
			return err
		}
		defer done()
		if recorded && !o.gone(o.need) || !recorded && o.pushed() {
			return nil // it was pushed again
		}
		remove := transfer.Repository.DeleteBlob
		if o.need.Manifest {
			remove = transfer.Repository.DeleteManifest
		}
		return remove(o.at(o.reach(o.owner, o.host)), ctx, o.need.Digest)
	}()
	if err != nil {
		o.log.Warn("a copy of what was deleted meanwhile is not yet undone",
			"replica", o.owner, "repository", o.repository, "digest", o.need.Digest, "error", err)
	}
}

// pushed reports whether the ledger has a push of it to the owner.
func (o ownWrite) pushed() bool {
	known, ok := o.known(o.what())
	return ok && !known.Deleted && slices.Contains(known.Confirmed, o.owner)
}
