package proxy

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

// refusal is why a request is answered here.
type refusal struct {
	status int
	allow  []string // methods, of a 405 (RFC 9110, 15.5.6)
	error  ociError
	reason router.Reason // "": the decision's
}

var (
	noPath    = refused(http.StatusNotFound, codeNameUnknown, "this path is not part of the registry")
	badName   = refused(http.StatusBadRequest, codeNameInvalid, "no repository can have this name")
	badTag    = refused(http.StatusBadRequest, codeManifestInvalid, "no tag can have this name")
	badDigest = refused(http.StatusBadRequest, codeDigestInvalid, "no digest has this form")
	noHost    = refused(http.StatusBadRequest, codeUnsupported, "the request names no host")
)

func refused(status int, code, message string) *refusal {
	return &refusal{status: status, error: ociError{Code: code, Message: message}}
}

// notAllowed is a 405 that allows reads, which pass on every path, and more.
func notAllowed(more ...string) *refusal {
	r := refused(http.StatusMethodNotAllowed, codeUnsupported, "the registry has no such method here")
	r.allow = append([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, more...)
	return r
}

// refusal is why this request is answered here; nil: a replica gets it.
func (x *exchange) refusal() *refusal {
	if x.in.ProtoMajor == 2 {
		if why := refusalOfHTTP2(x.in); why != nil {
			return why
		}
	}
	switch {
	case x.in.Host == "" && x.in.ProtoAtLeast(1, 1): // RFC 9112, 3.2; the checks of balancers speak 1.0
		return noHost
	case !routable(x.in.URL.Path, x.settings.Paths) && x.urlOwner != "": // a registry has sent its client there
		return refused(http.StatusNotFound, codeNameUnknown, outsideError(x.in.URL.Path).Error())
	case !routable(x.in.URL.Path, x.settings.Paths):
		return noPath
	case x.hinted && (changes(x.in.Method) || onlyReads(x.in.Method)):
		return nil
	}
	return refusalOf(x.in.Method, x.in.URL, x.target)
}

// drainUnwanted takes in what a client sends that does not wait to be asked for it: some look for an answer only when
// they have sent all, and a connection that is closed before takes the answer along.
func (x *exchange) drainUnwanted() {
	if x.in.Header.Get("Expect") != "" || x.in.Body == nil || x.in.Body == http.NoBody {
		return
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.settings.Limits.Window))
	_, _ = io.CopyN(io.Discard, x.in.Body, maxUnwanted)
}

// refusalOf says why no replica gets a routable request; nil: one may. Registries differ in what they make of a path
// that is not exactly one of the spec's: a slash at its end, capitals, an encoded slash. What writes by such a path
// would pass by the guard and the ledger; what reads content by it, by what the ledger knows. All else may be read:
// what registries have beyond the spec is theirs.
func refusalOf(method string, u *url.URL, t target) *refusal {
	rest, below := strings.CutPrefix(u.Path, "/v2/")
	switch {
	case !changes(method) && !onlyReads(method):
		return notAllowed(http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
	case below && t.kind == router.Upload && !plainUpload(u, t):
		return noPath
	case t.kind == router.Other && changes(method):
		return refusalOfWrite(method, rest)
	case t.kind == router.Other && method != http.MethodOptions && readAsContent(rest):
		return noPath
	case (below || u.Path == "/v2") && t.kind == router.Ping && changes(method):
		return refusalOfPing(method, rest)
	}
	return nil
}

// onlyReads reports whether no server changes anything by a method (RFC 9110, 9.2.1). TRACE would show a client what
// was added on the way.
func onlyReads(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// refusalOfWrite is for what is not exactly a path and a method of the spec.
func refusalOfWrite(method, rest string) *refusal {
	t, methods := parse(rest)
	_, allowed := methods[method]
	switch {
	case methods == nil:
		return noPath
	case !oci.IsRepository(t.repository):
		return badName
	case !allowed:
		return notAllowed(slices.DeleteFunc(slices.Sorted(maps.Keys(methods)), onlyReads)...)
	case t.isDigest(), t.blob:
		return badDigest
	}
	return badTag
}

// refusalOfPing is for what writes outside repositories: token services are asked by POST as well (distribution's
// "OAuth2 token authentication").
func refusalOfPing(method, rest string) *refusal {
	switch {
	case rest == "" || !isService(rest):
		return notAllowed()
	case method != http.MethodPost:
		return notAllowed(http.MethodPost)
	}
	return nil
}

// readAsContent reports whether servers that fold capitals, or do not mind a slash at the end, read a path as a
// manifest or blob.
func readAsContent(rest string) bool {
	t, _ := parse(strings.ToLower(strings.TrimSuffix(rest, "/")))
	return (t.manifest || t.blob) && oci.IsRepository(t.repository)
}

// plainUpload reports whether characters are encoded in the id alone, which is its registry's own.
func plainUpload(u *url.URL, t target) bool {
	return strings.HasPrefix(u.EscapedPath(), "/v2/"+t.repository+"/blobs/uploads/")
}

// spell gives a replica the path as it was read here, so that it reads no other one out of percent-encoding.
func (t target) spell(u *url.URL) {
	if t.kind != router.Upload {
		u.RawPath = ""
	}
}

// withoutTags is a query without the tags in it. A registry may give more tags to a manifest that is put by its digest
// (distribution spec 1.2, "Pushing Manifests"), which would be recorded nowhere. A client that is not told of any puts
// each by itself.
func withoutTags(query string) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(part string) bool {
		name, _, _ := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(name)
		return err != nil || decoded == "tag" || strings.Contains(part, ";") // which some servers split at
	})
	return strings.Join(parts, "&")
}
