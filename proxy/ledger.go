package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/fairlead-gateway/fairlead/ledger"
	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// Ledger is what gateways remember of pushes and deletions, beyond a lease and, where the file gives it a place, beyond
// a restart. Its methods may be called by many goroutines at once.
type Ledger interface {
	// Push says that replica accepted content under a name, Delete that it deleted what a reference names. Nil: it is
	// kept.
	Push(what ledger.Reference, content ledger.Content, replica string, by ledger.Request) error
	Delete(what ledger.Reference, replica string, by ledger.Request) error
	// Untag says that replica accepted a stand-in under a tag, which a client is about to delete together with the tag:
	// the tag is deleted, and nobody pushed the stand-in.
	Untag(tag ledger.Reference, standIn string, replica string, by ledger.Request) error
	// Told returns when all gateways know what was recorded here until now, within a bound.
	Told(ctx context.Context)
	// Confirm says that replica's word about what was deleted counts again: it is rid of it, or was given it anew by
	// name. It changes nothing once that was pushed again.
	Confirm(what ledger.Reference, replica string)
	// Gone says that replica, asked to delete what was deleted elsewhere, does not have it any more; a copy of it may
	// yet be under way there. If it was pushed again meanwhile, the deletion may have taken that along.
	Gone(what ledger.Reference, replica string)
	// Known is what the ledger says of the reference.
	Known(what ledger.Reference) (ledger.Entry, bool)
	// Stale reports whether more may have been recorded than Known knows of.
	Stale() bool
	// Stranded reports whether the repository has a tag or manifest that none of those replicas is known to have.
	Stranded(repository string, replicas []string) bool
}

func (x *exchange) by() ledger.Request {
	return ledger.Request{Host: strings.Clone(x.in.Host), Method: strings.Clone(x.in.Method),
		UserAgent: strings.Clone(x.in.UserAgent())}
}

// errUnrecorded means that a write is done, and not remembered: its client has to come again.
var errUnrecorded = errors.New("the gateway cannot record pushes now")

// reference is what the ledger calls what is asked for.
func (x *exchange) reference() ledger.Reference {
	return ledger.Reference{Repository: x.target.repository, Name: x.target.reference, Blob: x.target.blob}
}

// referenceOf is what the ledger calls what a manifest of the repository names.
func (x *exchange) referenceOf(need manifest.Descriptor) ledger.Reference {
	return ledger.Reference{Repository: x.target.repository, Name: need.Digest, Blob: !need.Manifest}
}

// deletedAt reports whether what is named was deleted, and a replica is not known to be rid of it.
func (x *exchange) deletedAt(fleet *router.Fleet, what ledger.Reference, replica string) bool {
	known, ok := x.proxy.Ledger.Known(what)
	return ok && known.Deleted && !x.hasWord(fleet, replica, known)
}

// recordWrite keeps what was pushed. Deletions are kept when all replicas were asked.
func (x *exchange) recordWrite(replica string, response *http.Response) (err error) {
	digest := response.Header.Get(digestHeader)
	if x.target.isDigest() {
		digest = x.target.reference
	}
	switch {
	case x.putsManifest() && digest != "" && x.untags(replica):
		err = x.proxy.Ledger.Untag(x.reference(), strings.Clone(digest), replica, x.by())
	case x.putsManifest() && digest != "":
		err = x.recordPush(replica, strings.Clone(digest), x.in.Header.Get("Content-Type"))
	case x.commits(response):
		err = x.recordBlob(replica, committed(x.values()))
	}
	return unrecorded(err)
}

// unrecorded says of trouble with the ledger what its client has to know.
func unrecorded(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnrecorded, err)
}

// recordPush keeps what a replica accepted. What it was pushed with is there again, too, if it was deleted.
func (x *exchange) recordPush(replica, digest, mediaType string) error {
	for _, need := range x.put.needs {
		of := x.referenceOf(need)
		if !x.mayBeDeleted(of) {
			continue
		}
		content := ledger.Content{Digest: need.Digest, Implied: true}
		if err := x.proxy.Ledger.Push(of, content, replica, x.by()); err != nil {
			return err
		}
	}
	return x.proxy.Ledger.Push(x.reference(), ledger.Content{
		Digest: digest, MediaType: strings.Clone(mediaType),
		Config: manifest.ConfigType(x.put.body), Size: int64(len(x.put.body)),
	}, replica, x.by())
}

// untags reports whether the client deletes the tag, in the way of those for whom the registry deletes none.
func (x *exchange) untags(replica string) bool {
	if x.target.isDigest() || x.put.body == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(x.ctx, askBound)
	defer cancel()
	of := x.target
	at := transfer.Repository{
		Replica: traced(x.proxy.Upstreams.ReachAs(replica, x.in.Host), traceOf(x.in.Header)),
		Name:    of.repository, Credential: credentialOf(x.in),
	}
	return at.StandsForDeletion(ctx, of.reference, x.put.body)
}

// mayBeDeleted reports whether the ledger may have a deletion of it: else a push of a blob changes nothing.
func (x *exchange) mayBeDeleted(of ledger.Reference) bool {
	known, ok := x.proxy.Ledger.Known(of)
	return ok && known.Deleted || of.Blob && x.proxy.Ledger.Stale()
}

// recordBlob records that a blob which was deleted is there again.
func (x *exchange) recordBlob(replica, digest string) error {
	of := ledger.Reference{Repository: x.target.repository, Name: digest, Blob: true}
	if !x.mayBeDeleted(of) {
		return nil
	}
	return x.proxy.Ledger.Push(of, ledger.Content{Digest: digest}, replica, x.by())
}
