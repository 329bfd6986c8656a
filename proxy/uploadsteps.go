package proxy

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/fairlead-gateway/fairlead/router"
)

// The steps of an upload (OCI distribution spec 1.1, end-4 to end-6, end-11, end-13). Not every registry gives the
// status that the spec has for one: what an accepted answer means follows from what was asked, and from what the answer
// says beside it.

// isStep reports whether it is a request of an upload. What asks to delete one ends it.
func (x *exchange) isStep() bool {
	begins := x.target.kind == router.Write && !x.target.manifest && !x.target.blob
	return begins || x.target.kind == router.Upload
}

// inProgress reports whether the upload goes on, at the Location that the answer has.
func (x *exchange) inProgress(response *http.Response) bool {
	if !x.isStep() || x.in.Method == http.MethodDelete {
		return false
	}
	return response.StatusCode == http.StatusRequestedRangeNotSatisfiable ||
		router.Accepted(response.StatusCode) && !x.commits(response)
}

// commits reports whether a blob is there from now on, with the digest that was asked for. A PUT that names a digest
// has no other meaning; a POST that does may all the same only begin an upload, and some registries say 201 to that,
// too.
func (x *exchange) commits(response *http.Response) bool {
	digest := committed(x.values())
	if !x.isStep() || digest == "" || !router.Accepted(response.StatusCode) {
		return false
	}
	switch x.in.Method {
	case http.MethodPut:
		return true
	case http.MethodPost:
		return x.target.kind == router.Upload || finishes(response, digest)
	}
	return false
}

// finishes reads the answer to a POST that names a digest.
func finishes(response *http.Response, digest string) bool {
	created := response.StatusCode == http.StatusCreated
	location, err := url.Parse(response.Header.Get("Location"))
	switch {
	case err != nil || location.Path == "":
		return created || response.Header.Get(digestHeader) == digest
	case path.Base(location.Path) == digest:
		return true
	}
	return created && !strings.Contains(location.Path, "uploads/")
}

// values are the parameters that the request has beside ours.
func (x *exchange) values() url.Values {
	values, _ := url.ParseQuery(x.query) // as far as they can be read
	return values
}

// committed is the digest of the blob that a request would commit, or mount (end-4b, end-6, end-11).
func committed(query url.Values) string {
	return strings.Clone(cmp.Or(query.Get("digest"), query.Get("mount")))
}
