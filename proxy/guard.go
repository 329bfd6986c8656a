package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer/manifest"
)

// putsManifest reports whether a manifest is put that the guard looks at. Whoever names a replica looks after what it
// needs himself.
func (x *exchange) putsManifest() bool {
	return x.target.manifest && x.in.Method == http.MethodPut && x.decided.request.Named == ""
}

// guardError is why a manifest was not put.
type guardError struct{ error }

func (e guardError) Unwrap() error { return e.error }

var errManifestSize = errors.New("the manifest is larger than this gateway takes (proxy.limits.manifest)")

// maxUnwanted bounds what is read of a manifest that is too large: most clients look for an answer only when they have
// sent all.
const maxUnwanted = 64 << 20

// readManifest takes the manifest in, so that it can be looked at, and sent more than once. One that is too large is
// refused: it could not be copied to any other replica.
func (x *exchange) readManifest(out *http.Request) error {
	if out.Body == nil {
		return nil
	}
	most := x.settings.MaxManifest
	var body []byte
	if out.ContentLength <= most {
		err := x.reserveForManifest(sizeOf(out.ContentLength, most))
		if err == nil {
			body, err = readAll(out.Body, out.ContentLength, most)
		}
		if err != nil {
			return err
		}
	}
	if out.ContentLength > most || int64(len(body)) > most {
		if x.in.Header.Get("Expect") == "" {
			_, _ = io.CopyN(io.Discard, out.Body, maxUnwanted)
		}
		return guardError{errManifestSize}
	}
	x.put.body = body
	return nil
}

// guard sees to it that the replica has all that the manifest needs before it is put there: registries are not obliged
// to look, and some do not (OCI distribution spec 1.1, "Pushing Manifests"; zot and go-containerregistry's accept a
// manifest whose layers are missing).
func (x *exchange) guard(ctx context.Context, owner *router.Replica) error {
	needs, err := manifest.Needs(x.put.body)
	if err != nil {
		return guardError{err}
	}
	x.put.needs = needs
	bounded, cancel := context.WithTimeout(ctx, x.settings.Limits.Heal)
	defer cancel()
	if err := x.forbidDeletesOfGone(bounded, owner.Name); err != nil {
		return guardError{fmt.Errorf("%w: %w", errUnsaid, err)}
	}
	now := time.Now()
	err = x.proxy.healer.complete(bounded, x.pushing(owner.Name), needs, knownContent{
		has: func(p manifest.Descriptor) bool {
			return x.proxy.pushes.replicaOf(x.pushKey(), p.Digest, now) == owner.Name && !x.wasGone(p)
		},
		add: func(digest string) { x.proxy.pushes.note(x.pushKey(), digest, owner.Name, now) },
	}, 0)
	switch {
	case err != nil && ctx.Err() != nil: // it was not the copies that took too long
		return guardError{fmt.Errorf("%w: %w", errUnsaid, context.Cause(ctx))}
	case err != nil:
		return guardError{err}
	}
	return nil
}

func (x *exchange) pushing(owner string) pushing {
	repository, to := x.target.repository, x.decided.fleet.Replica(owner)
	p := pushing{
		repository: repository, owner: owner, host: x.in.Host, credential: credentialOf(x.in),
		trace: traceOf(x.in.Header), gone: x.gone, kept: x.proxy.keptOf(x.pushKey()),
	}
	// Where this push has left content it is most likely to be.
	left := x.proxy.pushes.replicas(x.pushKey(), time.Now())
	var rest []string
	for _, r := range x.decided.request.Gateway {
		switch {
		case r.Shares(to) || r.Operator == router.Offline:
		case slices.Contains(left, r.Name):
			p.others = append(p.others, r.Name)
		default:
			rest = append(rest, r.Name)
		}
	}
	p.others = append(p.others, rest...)
	return p
}

// gone reports whether what a manifest names was deleted, by whomever, and not pushed again.
func (x *exchange) gone(p manifest.Descriptor) bool {
	known, ok := x.proxy.Ledger.Known(x.referenceOf(p))
	return ok && known.Deleted
}

// wasGone reports whether what a manifest names was deleted once. The ledger has blobs for no other reason, and another
// gateway may not have heard yet that this one was pushed again.
func (x *exchange) wasGone(p manifest.Descriptor) bool {
	known, ok := x.proxy.Ledger.Known(x.referenceOf(p))
	return ok && (known.Deleted || !p.Manifest)
}

// forbidDeletesOfGone has nobody delete what was deleted before and the manifest names again: if it is at the replica
// all the same, it is there for good once the manifest is.
func (x *exchange) forbidDeletesOfGone(ctx context.Context, replica string) error {
	for _, p := range x.put.needs {
		if !x.gone(p) {
			continue
		}
		if err := x.forbidDeletes(ctx, replica, x.referenceOf(p)); err != nil {
			return err
		}
	}
	return nil
}

// bringHome starts to copy a blob that was committed elsewhere than where its push's manifest will go, so that the
// manifest need not wait for it.
func (x *exchange) bringHome(digest, at, owner string) {
	if digest == "" || owner == at || x.decided.fleet.Replica(owner) == nil {
		return
	}
	// else the manifest waits
	_, _, _ = x.proxy.healer.begin(x.pushing(owner), manifest.Descriptor{Digest: digest}, at, 0)
}

// refuseIncomplete answers a manifest that would be damaged if it were committed. What may be repaired by time, and by
// a client that pushes the missing blob again, ends in a broken connection first: most clients try again then, and none
// goes on after an answer in words. Whoever comes again gets that.
func (x *exchange) refuseIncomplete(err error) {
	if errors.Is(err, errManifestSize) {
		x.refuse(http.StatusRequestEntityTooLarge, ociError{
			Code: codeManifestInvalid, Message: err.Error(), Detail: map[string]int64{"limit": x.settings.MaxManifest},
		})
		return
	}
	if errors.Is(err, manifest.ErrTooMany) {
		x.reason = router.Scattered
		x.refuse(http.StatusBadRequest, ociError{Code: codeManifestInvalid, Message: err.Error()})
		return
	}
	var missing *missingBlobError
	what := "manifest " + x.client.String() + " " + x.in.URL.Path
	if !errors.As(err, &missing) || missing.why != nil && x.proxy.brokenOff.first(what, time.Now()) {
		x.reason = router.Healing
		x.breakOff()
	}
	x.reason = router.Scattered
	x.proxy.pushes.end(x.pushKey())
	x.refuse(http.StatusBadRequest, ociError{
		Code:    codeManifestBlobUnknown,
		Message: missing.Error(),
		Detail:  map[string]any{"digest": missing.digest, "owner": missing.owner, "asked": missing.asked},
	})
}
