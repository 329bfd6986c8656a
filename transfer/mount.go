package transfer

import (
	"context"
	"net/http"
	"net/url"

	"github.com/fairlead-gateway/fairlead/oci"
)

// Mount has the replica add a blob of one of its other repositories to this one (OCI distribution spec 1.1, end-11). It
// returns false if the replica does not do that, and the blob has to be copied.
func (r Repository) Mount(ctx context.Context, digest, from string) (bool, error) {
	if !oci.IsDigest(digest) {
		return false, oci.ErrDigest
	}
	p := r.peer()
	to := p.at("blobs/uploads/")
	to.RawQuery = url.Values{"mount": {digest}, "from": {from}}.Encode()
	response, err := p.send(ctx, call{method: http.MethodPost, at: to})
	if err != nil {
		return false, err
	}
	switch {
	case response.StatusCode == http.StatusAccepted: // an upload has begun instead
		response.Body.Close()
		s := &session{peer: p, digest: digest, at: to}
		if s.moves(answer{http.MethodPost, response.StatusCode, response.Header}) == nil && s.at != to {
			s.abandon(ctx)
		}
		return false, nil
	case success(response.StatusCode):
		response.Body.Close()
		return p.has(ctx, "blobs", digest) // a 201 of a registry that checks nothing says little
	}
	return false, p.refused(response, nil)
}
