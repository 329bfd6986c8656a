package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// Some registries keep uploads outside /v2/ (Google's have /artifacts-uploads/…). The file lists such a path by its
// prefix, and what leads there is bound to its replica as any upload is.

// covers reports whether a listed path is p, or one that ends in /* has it below.
func matchesListed(listed, p string) bool {
	prefix, wild := strings.CutSuffix(listed, "*")
	if !wild {
		return p == listed
	}
	return strings.HasPrefix(p, prefix) && len(p) > len(prefix)
}

// outsideError says which line of the file is missing.
func outsideError(path string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return fmt.Errorf("%w: /%s/*", errOutside, first)
}

// repositoryFor is what has to go into the URL of an upload whose path names no repository.
func (x *exchange) repositoryFor(path string) string {
	if to := classify(http.MethodPatch, path); to.kind == router.Upload && to.repository == x.target.repository {
		return ""
	}
	return x.target.repository
}

// readableOutside reports whether an upload may be at a path: below /v2/ anywhere but where a server may read a path of
// the spec (ghcr.io has NAME/blobs/upload/ID).
func readableOutside(p string) bool {
	rest, below := strings.CutPrefix(p, "/v2/")
	if !below {
		return p != "/v2"
	}
	_, methods := parse(rest)
	words := strings.FieldsFunc(strings.ToLower(rest), func(r rune) bool { return r == '/' })
	content := func(word string) bool { return word == "manifests" || word == "tags" || word == "referrers" }
	return methods == nil && !readAsContent(rest) && !slices.ContainsFunc(words, content)
}

// vouched reports whether an accepted answer may be learnt from. What a URL says of the repository anybody may have
// written there: it keeps a lease where it is, and no more, until the registry itself says which repository it has put
// the blob into.
func (x *exchange) vouched(replica string, response *http.Response, now time.Time) bool {
	if !x.hinted || !router.Accepted(response.StatusCode) {
		return true
	}
	if !x.commits(response) {
		return x.proxy.leases.owner(x.target.repository, now) == replica
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		return false
	}
	of := classify(http.MethodGet, location.Path)
	if !of.blob || of.reference != committed(x.values()) {
		return false
	}
	x.adoptRepository(of.repository)
	return true
}

// adoptRepository has the request be about the repository that the registry has put the blob into.
func (x *exchange) adoptRepository(name string) {
	x.target.repository, x.hinted = strings.Clone(name), false
}
