package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fairlead-gateway/fairlead/oci"
)

var (
	errKept   = errors.New("it says that it has deleted it, and has it")
	errHidden = errors.New("nor does it say whether it is there")
)

// Hidden reports whether the replica refuses both to delete something and to say whether it has it.
func Hidden(err error) bool { return errors.Is(err, errHidden) }

// DeleteManifest deletes a manifest by its digest, or a tag (OCI distribution spec 1.1, end-9). It succeeds if there is
// nothing to delete.
func (r Repository) DeleteManifest(ctx context.Context, reference string) error {
	if !oci.IsTag(reference) {
		if !oci.IsDigest(reference) {
			return oci.ErrDigest
		}
	}
	return r.peer().delete(ctx, "manifests/"+reference)
}

// DeleteBlob deletes a blob (OCI distribution spec 1.1, end-10). It succeeds if there is nothing to delete.
func (r Repository) DeleteBlob(ctx context.Context, digest string) error {
	if !oci.IsDigest(digest) {
		return oci.ErrDigest
	}
	return r.peer().delete(ctx, "blobs/"+digest)
}

// delete asks afterwards whether the content is there. Some registries refuse, or fail, where there is nothing to
// delete; some answer 202 and serve it from a cache until they are asked to delete it again. Whether to do that is for
// the caller, who knows whether it was pushed again meanwhile.
func (p *peer) delete(ctx context.Context, what string) error {
	response, err := p.send(ctx, call{method: http.MethodDelete, at: p.at(what)})
	if err != nil {
		return err
	}
	var refused error
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound:
		response.Body.Close()
	default:
		refused = p.refused(response, nil)
	}
	switch there, err := p.exists(ctx, what); {
	case err == nil && !there:
		return nil
	case Refused(refused) && Refused(err):
		return fmt.Errorf("%w: %w", refused, errHidden)
	case err != nil || refused != nil:
		return refused
	}
	return &Error{Replica: p.Name, Method: http.MethodDelete, Status: response.StatusCode, Err: errKept}
}

// exists asks by HEAD whether something is there. After an error it is unknown.
func (p *peer) exists(ctx context.Context, what string) (bool, error) {
	response, err := p.fetch(ctx, http.MethodHead, what, accepted("manifests"))
	if err != nil {
		return false, err
	}
	switch response.StatusCode {
	case http.StatusOK:
		response.Body.Close()
		return true, nil
	case http.StatusNotFound:
		response.Body.Close()
		return false, nil
	}
	return false, p.refused(response, nil)
}
