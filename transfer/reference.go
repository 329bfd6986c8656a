package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
)

// Bounds of a list of referrers.
const (
	maxReferrers     = 256
	maxReferrersBody = 4 << 20
)

// PutTag puts a manifest by a tag.
func PutTag(ctx context.Context, to Replica, repository, tag, digest, mediaType string, body []byte, credential http.Header) error {
	if !validTag.MatchString(tag) {
		return ErrTag
	}
	return standard().peer(to, repository, credential).put(ctx, tag, digest, mediaType, body)
}

var validTag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

func (p *peer) put(ctx context.Context, reference, digest, mediaType string, body []byte) error {
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
	if response.StatusCode != http.StatusCreated {
		return p.refused(response, nil)
	}
	response.Body.Close()
	return nil
}

// DeleteManifest deletes a manifest by its digest, or a tag. That it is not there is as good.
func DeleteManifest(ctx context.Context, at Replica, repository, reference string, credential http.Header) error {
	if !validTag.MatchString(reference) {
		if _, _, err := parseDigest(reference); err != nil {
			return err
		}
	}
	return standard().peer(at, repository, credential).delete(ctx, "manifests/"+reference)
}

// DeleteBlob deletes a blob. That it is not there is as good.
func DeleteBlob(ctx context.Context, at Replica, repository, digest string, credential http.Header) error {
	if _, _, err := parseDigest(digest); err != nil {
		return err
	}
	return standard().peer(at, repository, credential).delete(ctx, "blobs/"+digest)
}

// delete asks after a refusal whether there is anything to delete: some registries fail, or refuse, all the same.
func (p *peer) delete(ctx context.Context, what string) error {
	response, err := p.send(ctx, call{method: http.MethodDelete, at: p.at(what)})
	if err != nil {
		return err
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusNotFound:
		response.Body.Close()
		return nil
	}
	refused := p.refused(response, nil)
	response, err = p.fetch(ctx, http.MethodHead, what, accepted("manifests"))
	if err != nil {
		return refused
	}
	response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil
	}
	return refused
}

// Referrers lists the digests of what refers to a manifest: the first page of it, and none where the replica has no such
// list.
func Referrers(ctx context.Context, at Replica, repository, digest string, credential http.Header) ([]string, error) {
	if _, _, err := parseDigest(digest); err != nil {
		return nil, err
	}
	p := standard().peer(at, repository, credential)
	response, err := p.fetch(ctx, http.MethodGet, "referrers/"+digest, accepted("manifests"))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusNotFound:
		response.Body.Close()
		return nil, nil
	case response.StatusCode != http.StatusOK:
		return nil, p.refused(response, nil)
	}
	defer response.Body.Close()
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxReferrersBody)).Decode(&index); err != nil {
		return nil, &Error{Replica: p.Name, Method: http.MethodGet, Status: response.StatusCode, Err: err}
	}
	var digests []string
	for _, m := range index.Manifests[:min(len(index.Manifests), maxReferrers)] {
		if _, _, err := parseDigest(m.Digest); err == nil {
			digests = append(digests, m.Digest)
		}
	}
	return digests, nil
}
