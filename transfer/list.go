package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Bounds of a list.
const (
	maxListBody = 8 << 20 // of one page
	maxPages    = 10_000
)

var (
	errPage  = errors.New("the next page is no other one")
	errPages = errors.New("too many pages")

	// As the distribution spec has it ("Pulling manifests"). It goes into a path.
	validRepository = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
)

// Catalog lists a replica's repositories, most of them at most; whole: that is all of them. Names that nobody could ask for are left out.
func Catalog(ctx context.Context, of Replica, most int, credential http.Header) (names []string, whole bool, err error) {
	p := standard().peer(of, "", credential)
	return p.list(ctx, "/v2/_catalog", most, func(name string) bool { return len(name) <= 255 && validRepository.MatchString(name) })
}

// Tags lists a repository's tags, most of them at most; whole: that is all of them. Of a repository that is not there it lists none.
func Tags(ctx context.Context, of Replica, repository string, most int, credential http.Header) (tags []string, whole bool, err error) {
	p := standard().peer(of, repository, credential)
	tags, whole, err = p.list(ctx, p.at("tags/list").Path, most, validTag.MatchString)
	if Missing(err) {
		return nil, true, nil
	}
	return tags, whole, err
}

// list follows the links to further pages (distribution spec, "Listing Tags"). It does not say how long a page is to be:
// some registries cut the list there and say nothing of more.
func (p *peer) list(ctx context.Context, path string, most int, valid func(string) bool) (all []string, whole bool, err error) {
	at := &url.URL{Scheme: p.URL.Scheme, Host: p.URL.Host, Path: path}
	for range maxPages {
		names, next, err := p.page(ctx, at)
		if err != nil {
			return nil, false, err
		}
		for _, name := range names {
			if !valid(name) {
				continue
			}
			if len(all) == most {
				return all, false, nil
			}
			all = append(all, name)
		}
		if next == nil {
			return all, true, nil
		}
		at = next
	}
	return nil, false, &Error{Replica: p.Name, Method: http.MethodGet, Status: http.StatusOK, Err: errPages}
}

func (p *peer) page(ctx context.Context, at *url.URL) (names []string, next *url.URL, err error) {
	response, err := p.follow(ctx, call{method: http.MethodGet, at: at})
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, nil, p.refused(response, nil)
	}
	defer response.Body.Close()
	var body struct{ Repositories, Tags []string }
	err = json.NewDecoder(io.LimitReader(response.Body, maxListBody)).Decode(&body)
	if err == nil {
		next, err = p.next(at, response.Header)
	}
	if err != nil {
		return nil, nil, &Error{Replica: p.Name, Method: http.MethodGet, Status: response.StatusCode, Err: err}
	}
	return append(body.Repositories, body.Tags...), next, nil
}

// next is the page that a Link (RFC 8288) names as the next one; nil: there is none.
func (p *peer) next(at *url.URL, header http.Header) (*url.URL, error) {
	for _, link := range header.Values("Link") {
		target, parameters, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if rel := strings.ReplaceAll(strings.ToLower(parameters), `"`, ""); !strings.Contains(rel, "rel=next") {
			continue
		}
		next, foreign, err := p.locate(at, target, sameName)
		if err != nil || foreign || next.Path != at.Path || next.RawQuery == at.RawQuery {
			return nil, errPage
		}
		return next, nil
	}
	return nil, nil
}

// Content is a manifest as a replica has it.
type Content struct {
	Digest    string
	MediaType string
	Size      int64
}

// Look asks what a replica has by a tag or a digest. With an error it is not known.
func Look(ctx context.Context, of Replica, repository, reference string, credential http.Header) (c Content, there bool, err error) {
	byTag := validTag.MatchString(reference)
	if _, _, err := parseDigest(reference); err != nil && !byTag {
		return Content{}, false, err
	}
	p := standard().peer(of, repository, credential)
	response, err := p.fetch(ctx, http.MethodHead, "manifests/"+reference, accepted("manifests"))
	if err != nil {
		return Content{}, false, err
	}
	response.Body.Close()
	c = Content{MediaType: mediaType(response.Header), Size: max(response.ContentLength, 0)}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return Content{}, false, nil
	default:
		return Content{}, false, p.refused(response, nil)
	}
	if c.Digest = reference; byTag {
		c.Digest = response.Header.Get("Docker-Content-Digest")
	}
	if _, _, err := parseDigest(c.Digest); err != nil {
		return p.read(ctx, reference)
	}
	return c, true, nil
}

// read is for registries that do not say which digest a tag has.
func (p *peer) read(ctx context.Context, tag string) (c Content, there bool, err error) {
	header, body, err := p.manifest(ctx, tag)
	switch {
	case Missing(err):
		return Content{}, false, nil
	case err != nil:
		return Content{}, false, err
	}
	return Content{Digest(body), mediaType(header), int64(len(body))}, true, nil
}

// mediaType is without parameters.
func mediaType(header http.Header) string {
	text, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.TrimSpace(text)
}
