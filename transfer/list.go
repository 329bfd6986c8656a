package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/fairlead-gateway/fairlead/oci"
)

// Bounds of a list.
const (
	maxListBody = 32 << 20 // of one page: some registries list 100,000 repositories in one
	maxPages    = 10_000
)

var (
	errPage  = errors.New("the next page is no other one")
	errPages = errors.New("too many pages")
)

// LetsIn asks whether the replica answers the client at all (OCI distribution spec 1.1, end-1).
func (r Replica) LetsIn(ctx context.Context) error {
	p := r.Repository("").peer()
	base := &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, Path: "/v2/"}
	response, err := p.follow(ctx, call{method: http.MethodGet, at: base})
	if err != nil {
		return err
	}
	if !success(response.StatusCode) {
		return p.refused(response, nil)
	}
	response.Body.Close()
	return nil
}

// Catalog lists the replica's repositories (docker's Registry HTTP API V2, "Listing Repositories"), at most as many as
// most says. complete means that these are all. Invalid names are left out.
func (r Replica) Catalog(ctx context.Context, most int) (names []string, complete bool, err error) {
	return r.Repository("").peer().list(ctx, "/v2/_catalog", most, oci.IsRepository)
}

// Tags lists the repository's tags (OCI distribution spec 1.1, end-8), at most as many as most says. complete means
// that these are all. The list is empty if there is no such repository.
func (r Repository) Tags(ctx context.Context, most int) (tags []string, complete bool, err error) {
	p := r.peer()
	tags, complete, err = p.list(ctx, p.at("tags/list").Path, most, oci.IsTag)
	if Missing(err) {
		return nil, true, nil
	}
	return tags, complete, err
}

// list reads a list of names. It does not ask for pages of a size: some registries cut the list there and do not say
// that there is more.
func (p *peer) list(
	ctx context.Context, path string, most int, valid func(string) bool,
) (all []string, complete bool, err error) {
	complete = true
	at := &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, Path: path}
	err = p.pages(ctx, at, nil, func(body []byte) (more bool, err error) {
		var page struct{ Repositories, Tags []string }
		err = json.Unmarshal(body, &page)
		for _, name := range append(page.Repositories, page.Tags...) {
			if !valid(name) {
				continue
			}
			if len(all) == most {
				complete = false
				return false, nil
			}
			all = append(all, name)
		}
		return true, err
	})
	if err != nil {
		return nil, false, err
	}
	return all, complete, nil
}

// pages reads one page after another, by their links (OCI distribution spec 1.1, "Listing Tags"), as long as read wants
// more.
func (p *peer) pages(
	ctx context.Context, at *url.URL, header http.Header, read func(body []byte) (more bool, err error),
) error {
	for range maxPages {
		response, err := p.follow(ctx, call{method: http.MethodGet, at: at, header: header})
		if err != nil {
			return err
		}
		if !success(response.StatusCode) {
			return p.refused(response, nil)
		}
		body, err := oci.ReadBody(response, maxListBody)
		response.Body.Close()
		more := false
		if err == nil {
			more, err = read(body)
		}
		if err == nil && more {
			at, err = p.next(at, response.Header)
		}
		if err != nil {
			return &Error{Replica: p.Name, Method: http.MethodGet, Status: response.StatusCode, Err: err}
		}
		if !more || at == nil {
			return nil
		}
	}
	return &Error{Replica: p.Name, Method: http.MethodGet, Status: http.StatusOK, Err: errPages}
}

// next returns the page that a Link names as the next one, nil if there is none. Its path must be that of this page,
// and only its query counts: registries have names and ports of their own for themselves.
func (p *peer) next(at *url.URL, header http.Header) (*url.URL, error) {
	target, ok := oci.Link(header.Values("Link"), "next")
	if !ok {
		return nil, nil
	}
	to, err := at.Parse(target)
	if err != nil || to.Path != at.Path || to.RawQuery == at.RawQuery {
		return nil, errPage
	}
	next := *at
	next.RawQuery = to.RawQuery
	return &next, nil
}

// Content is a manifest as a replica has it: what a descriptor says of it (OCI image spec 1.1, "Content Descriptors").
type Content struct {
	Digest    string
	MediaType string
	Size      int64
}

// Look asks what the replica has by a tag or a digest (OCI distribution spec 1.1, end-3). After an error it is unknown.
func (r Repository) Look(ctx context.Context, reference string) (c Content, there bool, err error) {
	return r.peer().look(ctx, reference)
}

func (p *peer) look(ctx context.Context, reference string) (c Content, there bool, err error) {
	byTag := oci.IsTag(reference)
	if !byTag && !oci.IsDigest(reference) {
		return Content{}, false, oci.ErrDigest
	}
	response, err := p.head(ctx, "manifests/"+reference, accepted("manifests"))
	if err != nil {
		return Content{}, false, err
	}
	response.Body.Close()
	c = Content{reference, mediaType(response.Header.Get("Content-Type")), response.ContentLength}
	switch {
	case response.StatusCode == http.StatusNotFound:
		return Content{}, false, nil
	case !success(response.StatusCode):
		return Content{}, false, p.refused(response, nil)
	}
	if byTag {
		c.Digest = response.Header.Get("Docker-Content-Digest")
	}
	if !oci.IsDigest(c.Digest) || c.Size < 0 || !specific(c.MediaType) ||
		oci.Encoding(response.Header) != "" {
		return p.lookByGet(ctx, reference, byTag)
	}
	return c, true, nil
}

// lookByGet reads the manifest, for registries whose HEAD does not describe it. It does not verify a digest.
func (p *peer) lookByGet(ctx context.Context, reference string, byTag bool) (c Content, there bool, err error) {
	header, body, err := p.manifest(ctx, reference)
	switch {
	case Missing(err):
		return Content{}, false, nil
	case err != nil:
		return Content{}, false, err
	}
	c = Content{reference, ManifestType(body, header.Get("Content-Type")), int64(len(body))}
	if byTag {
		c.Digest = oci.Digest(body)
	}
	return c, true, nil
}
