package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/fairlead-gateway/fairlead/oci"
)

// maxReferrers bounds a list of referrers, over all its pages.
const maxReferrers = 1024

// PutTag puts a manifest by a tag (OCI distribution spec 1.1, end-7).
func (r Repository) PutTag(ctx context.Context, tag, digest, mediaType string, body []byte) error {
	if !oci.IsTag(tag) {
		return ErrTag
	}
	return r.peer().putManifest(ctx, tag, digest, mediaType, body)
}

func (p *peer) putManifest(ctx context.Context, reference, digest, mediaType string, body []byte) error {
	if err := verifies(body, digest); err != nil {
		return err
	}
	response, err := p.send(ctx, call{
		method: http.MethodPut, at: p.at("manifests/" + reference), header: http.Header{"Content-Type": {mediaType}},
		body: bytes.NewReader(body), length: int64(len(body)),
	})
	if err != nil {
		return err
	}
	if !success(response.StatusCode) {
		return p.refused(response, nil)
	}
	response.Body.Close()
	if response.Header.Get("Docker-Content-Digest") == digest {
		return nil
	}
	return p.awaitStored(ctx, answer{http.MethodPut, response.StatusCode, response.Header}, "manifests", digest)
}

// Referrers lists the digests of what refers to a manifest (OCI distribution spec 1.1, end-12), at most maxReferrers.
// The list is empty where the replica has no such API.
func (r Repository) Referrers(ctx context.Context, digest string) ([]string, error) {
	if !oci.IsDigest(digest) {
		return nil, oci.ErrDigest
	}
	p := r.peer()
	var digests []string
	err := p.pages(ctx, p.at("referrers/"+digest), accepted("manifests"), func(body []byte) (more bool, err error) {
		var index struct {
			Manifests []struct{ Digest string }
		}
		err = json.Unmarshal(body, &index)
		for _, m := range index.Manifests {
			if len(digests) == maxReferrers {
				return false, err
			}
			if oci.IsDigest(m.Digest) {
				digests = append(digests, m.Digest)
			}
		}
		return true, err
	})
	if unlisted(err) {
		return nil, nil
	}
	return digests, err
}

// unlisted reports whether the replica does not know the referrers API. Older registries, and proxies before them, have
// many ways to say so.
func unlisted(err error) bool {
	return slices.ContainsFunc([]int{
		http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusNotImplemented,
	}, func(status int) bool { return hasStatus(err, status) })
}
