package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// Record is what gateways remember of pushes and deletions, beyond a lease and, where the file gives it a place, beyond a
// restart. Its methods may be called by many goroutines at once.
type Record interface {
	// Push says that replica accepted content under a name, Delete that it deleted what a reference names. Nil: it is kept.
	Push(what ledger.Reference, content ledger.Content, replica string, by ledger.Request) error
	Delete(what ledger.Reference, replica string, by ledger.Request) error
	// Untag says that replica accepted a stand-in under a tag, which a client is about to delete together with the tag: the tag is
	// deleted, and nobody pushed the stand-in.
	Untag(tag ledger.Reference, standIn string, replica string, by ledger.Request) error
	// Told returns when all gateways know what was recorded here until now, within a bound.
	Told(ctx context.Context)
	// Confirm says that replica's word about what was deleted counts again: it is rid of it, or was given it anew by name. It
	// changes nothing once that was pushed again.
	Confirm(what ledger.Reference, replica string)
	// Gone says that replica, asked to delete what was deleted elsewhere, does not have it any more; a copy of it may yet be
	// under way there. If it was pushed again meanwhile, the deletion may have taken that along.
	Gone(what ledger.Reference, replica string)
	// Known is what the record says of the reference.
	Known(what ledger.Reference) (ledger.Entry, bool)
	// Stale reports whether more may have been recorded than Known knows of.
	Stale() bool
	// Stranded reports whether the repository has a tag or manifest that none of those replicas is known to have.
	Stranded(repository string, replicas []string) bool
}

func (x *exchange) by() ledger.Request {
	return ledger.Request{Host: strings.Clone(x.in.Host), Method: strings.Clone(x.in.Method), UserAgent: strings.Clone(x.in.UserAgent())}
}

// errUnrecorded: a write is done, and not remembered. Its client has to come again.
var errUnrecorded = errors.New("the gateway cannot keep record of pushes now")

func (x *exchange) named() ledger.Reference {
	return ledger.Reference{Repository: x.target.repository, Name: x.target.reference, Blob: x.target.blob}
}

// counts reports whether a replica's word about something counts: it is known to be up to date, or is the owner that
// gateways agree on, who may have got it anew through another one of them before we hear of that.
func (x *exchange) counts(replica string, about ledger.Entry) bool {
	of := x.fleet.Replica(replica)
	return replica == x.proxy.leases.agreed.Owner(x.target.repository) ||
		slices.ContainsFunc(about.Confirmed, func(name string) bool { return name == replica || of.Shares(x.fleet.Replica(name)) })
}

// consult asks the record once for what the decision about a read needs of it.
func (x *exchange) consult() {
	if digest := x.target.belongsTo(); digest != "" {
		x.request.Follow = x.proxy.resolutions.follow(ledger.Reference{Repository: x.target.repository, Name: digest})
	}
	if !x.target.manifest && !x.target.blob {
		return
	}
	known, ok := x.proxy.Record.Known(x.named())
	switch {
	case ok && known.Deleted:
		x.request.Barred = x.without(known)
	case ok:
		x.request.Holders = known.Confirmed
	}
}

// barred are the replicas that may still have what was deleted.
func (x *exchange) barred(what ledger.Reference) []string {
	known, ok := x.proxy.Record.Known(what)
	if !ok || !known.Deleted {
		return nil
	}
	return x.without(known)
}

// without are the replicas whose word about it does not count.
func (x *exchange) without(known ledger.Entry) (names []string) {
	for _, r := range x.fleet.Replicas() {
		if !x.counts(r.Name, known) {
			names = append(names, r.Name)
		}
	}
	return names
}

// recordPush keeps what a replica accepted. What it was pushed with is there again, too, if it was deleted.
func (x *exchange) recordPush(replica string, digest string, mediaType string) error {
	record, repository := x.proxy.Record, x.target.repository
	for _, part := range x.needs {
		of := ledger.Reference{Repository: repository, Name: part.Digest, Blob: !part.Manifest}
		if x.mayBeDeleted(of) {
			if err := record.Push(of, ledger.Content{Digest: part.Digest, Implied: true}, replica, x.by()); err != nil {
				return fmt.Errorf("%w: %w", errUnrecorded, err)
			}
		}
	}
	content := ledger.Content{Digest: digest, MediaType: strings.Clone(mediaType), Config: manifest.ConfigType(x.manifest), Size: int64(len(x.manifest))}
	if err := record.Push(x.named(), content, replica, x.by()); err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}

// untags: the client deletes the tag, in the way of those for whom the registry deletes none.
func (x *exchange) untags(replica string) bool {
	if x.target.isDigest() || x.manifest == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(x.ctx, askBound)
	defer cancel()
	of := x.target
	return transfer.StandsForDeletion(ctx, x.proxy.reach(replica, x.in.Host), of.repository, of.reference, x.manifest, credentialOf(x.in))
}

func (x *exchange) recordUntag(replica, standIn string) error {
	if err := x.proxy.Record.Untag(x.named(), standIn, replica, x.by()); err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}

// mayBeDeleted: where nothing says so, of a blob a push changes nothing.
func (x *exchange) mayBeDeleted(of ledger.Reference) bool {
	known, ok := x.proxy.Record.Known(of)
	return ok && known.Deleted || of.Blob && x.proxy.Record.Stale()
}

// recordBlob: a blob that was deleted is there again.
func (x *exchange) recordBlob(replica, digest string) error {
	of := ledger.Reference{Repository: x.target.repository, Name: digest, Blob: true}
	if !x.mayBeDeleted(of) {
		return nil
	}
	if err := x.proxy.Record.Push(of, ledger.Content{Digest: digest}, replica, x.by()); err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	return nil
}
