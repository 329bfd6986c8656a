package transfer

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

const maxRedirects = 5

var (
	errRedirects = errors.New("too many redirects")
	errDigest    = errors.New("the content has another digest")
)

// ErrTag means that a text cannot be a tag.
var ErrTag = errors.New("not a tag")

// fetch asks for content by GET or HEAD, and follows redirects, which lead to object storage. Once a redirect has left
// the replica, no credential goes along.
func (p *peer) fetch(ctx context.Context, method, what string, header http.Header) (*http.Response, error) {
	return p.follow(ctx, call{method: method, at: p.at(what), header: header})
}

func (p *peer) follow(ctx context.Context, c call) (*http.Response, error) {
	for i := 0; ; i++ {
		response, err := p.send(ctx, c)
		if err != nil || !redirects(response.StatusCode) {
			return response, err
		}
		if i == maxRedirects {
			return nil, p.refused(response, errRedirects)
		}
		at, foreign, err := p.locate(c.at, response.Header.Get("Location"), strings.EqualFold)
		if err != nil {
			return nil, p.refused(response, err)
		}
		response.Body.Close()
		c.at, c.foreign = at, c.foreign || foreign
	}
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// HasBlob asks whether the replica has a blob (OCI distribution spec 1.1, end-2). After an error it is unknown.
func (r Repository) HasBlob(ctx context.Context, digest string) (bool, error) {
	return r.peer().has(ctx, "blobs", digest)
}

// HasManifest asks whether the replica has a manifest (OCI distribution spec 1.1, end-3). After an error it is unknown.
func (r Repository) HasManifest(ctx context.Context, digest string) (bool, error) {
	return r.peer().has(ctx, "manifests", digest)
}

func (p *peer) has(ctx context.Context, kind, digest string) (bool, error) {
	if !oci.IsDigest(digest) {
		return false, oci.ErrDigest
	}
	response, err := p.head(ctx, kind+"/"+digest, accepted(kind))
	switch {
	case err != nil:
		return false, err
	case success(response.StatusCode):
		response.Body.Close()
		return true, nil
	case response.StatusCode == http.StatusNotFound:
		response.Body.Close()
		return false, nil
	}
	return false, p.refused(response, nil)
}

// head asks by HEAD, or by GET where HEAD is not supported. It does not read the body.
func (p *peer) head(ctx context.Context, what string, header http.Header) (*http.Response, error) {
	response, err := p.fetch(ctx, http.MethodHead, what, header)
	if err != nil ||
		response.StatusCode != http.StatusMethodNotAllowed && response.StatusCode != http.StatusNotImplemented {
		return response, err
	}
	response.Body.Close()
	return p.fetch(ctx, http.MethodGet, what, header)
}

// success reports whether a status is a success. The distribution spec names one status for each request, but
// registries answer with others.
func success(status int) bool { return status/100 == 2 }

// accepted returns the Accept field for manifests. Without it a registry may deny that it has a manifest, or convert
// it. It is one line, since some registries read only the first.
func accepted(kind string) http.Header {
	if kind != "manifests" {
		return nil
	}
	types := []string{typeIndex, typeManifest, typeDockerList, typeDockerManifest, "*/*"}
	return http.Header{"Accept": {strings.Join(types, ", ")}}
}

// Manifest gets a manifest by its digest (OCI distribution spec 1.1, end-3), and verifies it. The media type is what
// ManifestType makes of the answer.
func (r Repository) Manifest(ctx context.Context, digest string) (mediaType string, body []byte, err error) {
	if !oci.IsDigest(digest) {
		return "", nil, oci.ErrDigest
	}
	p := r.peer()
	header, body, err := p.manifest(ctx, digest)
	if err != nil {
		return "", nil, err
	}
	if err := verifies(body, digest); err != nil {
		return "", nil, &Error{Replica: p.Name, Method: http.MethodGet, Status: http.StatusOK, Err: err}
	}
	return ManifestType(body, header.Get("Content-Type")), body, nil
}

// Tagged gets the manifest that a tag names (OCI distribution spec 1.1, end-3). The digest is the one that the registry
// gives, verified, or else that of the content.
func (r Repository) Tagged(ctx context.Context, tag string) (digest, mediaType string, body []byte, err error) {
	if !oci.IsTag(tag) {
		return "", "", nil, ErrTag
	}
	p := r.peer()
	header, body, err := p.manifest(ctx, tag)
	if err != nil {
		return "", "", nil, err
	}
	digest = header.Get("Docker-Content-Digest")
	if !oci.IsDigest(digest) {
		digest = oci.Digest(body)
	}
	if err := verifies(body, digest); err != nil {
		return "", "", nil, &Error{Replica: p.Name, Method: http.MethodGet, Status: http.StatusOK, Err: err}
	}
	return digest, ManifestType(body, header.Get("Content-Type")), body, nil
}

func (p *peer) manifest(ctx context.Context, reference string) (http.Header, []byte, error) {
	response, err := p.fetch(ctx, http.MethodGet, "manifests/"+reference, accepted("manifests"))
	if err != nil {
		return nil, nil, err
	}
	if !success(response.StatusCode) {
		return nil, nil, p.refused(response, nil)
	}
	defer response.Body.Close()
	body, err := oci.ReadBody(response, cmp.Or(p.MaxManifest, DefaultMaxManifest))
	if err != nil {
		return nil, nil, &Error{Replica: p.Name, Method: http.MethodGet, Status: response.StatusCode, Err: err}
	}
	return response.Header, body, nil
}

// PutManifest puts a manifest by its digest (OCI distribution spec 1.1, end-7).
func (r Repository) PutManifest(ctx context.Context, digest, mediaType string, body []byte) error {
	return r.peer().putManifest(ctx, digest, digest, mediaType, body)
}

// ReadsBlob gets the first byte of a blob (OCI distribution spec 1.1, end-2), as a client does that pulls: wherever the
// registry leads it, for example to object storage.
func (r Repository) ReadsBlob(ctx context.Context, digest string) error {
	if !oci.IsDigest(digest) {
		return oci.ErrDigest
	}
	p := r.peer()
	response, err := p.fetch(ctx, http.MethodGet, "blobs/"+digest, http.Header{"Range": {"bytes=0-0"}})
	if err != nil {
		return err
	}
	ofEmpty := response.StatusCode == http.StatusRequestedRangeNotSatisfiable
	if !success(response.StatusCode) && !ofEmpty {
		return p.refused(response, nil)
	}
	return response.Body.Close()
}
