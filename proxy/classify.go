package proxy

import (
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/router"
)

// target is what a request means in the OCI distribution spec 1.1.
type target struct {
	kind       router.Kind
	repository string // "" where the path names none
	reference  string // tag, digest or upload id
	manifest   bool   // the reference is a manifest's
	blob       bool   // it is a blob's
}

// isDigest: a tag never holds a colon.
func (t target) isDigest() bool { return strings.Contains(t.reference, ":") }

// belongsTo is the digest of the manifest that is asked about, or that what is asked about belongs to: its referrers, and the
// tags that name it (OCI distribution spec 1.1, "Referrers Tag Schema"; cosign appends .sig, .att and .sbom). "" if none.
func (t target) belongsTo() string {
	switch {
	case t.blob:
		return ""
	case t.isDigest():
		return t.reference
	}
	algorithm, rest, ok := strings.Cut(t.reference, "-")
	encoded, _, _ := strings.Cut(rest, ".")
	if !ok || !t.manifest || algorithm != "sha256" && algorithm != "sha512" {
		return ""
	}
	return algorithm + ":" + encoded
}

// A repository's name as the spec has it; 255 is the limit that registries share (spec, "Pulling
// manifests"). It bounds the key of a lease as well.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)

const maxRepositoryName = 255

func validRepository(name string) bool {
	return len(name) <= maxRepositoryName && repositoryName.MatchString(name)
}

// routable reports whether a path may reach a replica at all: the registry API, and what the file
// lists beside it. A replica's /metrics or /debug is nobody's business, so a path that a replica may
// read as another one (dot segments, doubled slashes) is not routable either.
func routable(p string, listed []string) bool {
	if strings.ContainsFunc(p, misread) || path.Clean(p) != strings.TrimSuffix(p, "/") {
		return false
	}
	return p == "/v2" || strings.HasPrefix(p, "/v2/") || slices.Contains(listed, p)
}

// misread are characters that the registry API has no use for, and that some server turns into a path
// of its own: a second decoding, a backslash for a slash, Tomcat's and Jetty's path parameters.
func misread(c rune) bool { return c < ' ' || strings.ContainsRune("%;\\\x7f", c) }

// classify reads a routable request. The words that end a repository's name (manifests, blobs, tags,
// referrers) may also stand inside it, so the path is read from its end.
func classify(method, p string) target {
	rest, below := strings.CutPrefix(p, "/v2/")
	if !below || rest == "" || rest == "_catalog" {
		return target{kind: router.Ping}
	}
	for _, read := range []func(method, rest string) (target, bool){
		classifyUpload, classifyTags, classifyReferenced,
	} {
		if t, ok := read(method, rest); ok && validRepository(t.repository) {
			return t
		}
	}
	return target{kind: router.Other}
}

// classifyUpload reads NAME/blobs/uploads/ (end-4, end-11) and NAME/blobs/uploads/ID (end-5, end-6, end-13).
func classifyUpload(method, rest string) (target, bool) {
	const mark = "/blobs/uploads"
	i := strings.LastIndex(rest, mark)
	if i < 0 {
		return target{}, false
	}
	name, tail := rest[:i], rest[i+len(mark):]
	if tail != "" && tail[0] != '/' {
		return target{}, false
	}
	id := strings.TrimPrefix(tail, "/")
	switch {
	case id != "":
		return target{kind: router.Upload, repository: name, reference: id}, true
	case method == http.MethodPost:
		return target{kind: router.Write, repository: name}, true
	}
	return target{kind: router.Other, repository: name}, true
}

// classifyTags reads NAME/tags/list (end-8).
func classifyTags(method, rest string) (target, bool) {
	name, ok := strings.CutSuffix(rest, "/tags/list")
	if !ok {
		return target{}, false
	}
	return target{kind: kindOf(method, router.Fresh, router.Fresh), repository: name}, true
}

// classifyReferenced reads NAME/{manifests,blobs,referrers}/REFERENCE (end-2, 3, 7, 9, 10, 12).
func classifyReferenced(method, rest string) (target, bool) {
	head, reference := path.Split(rest)
	name, noun := path.Split(strings.TrimSuffix(head, "/"))
	name = strings.TrimSuffix(name, "/")
	if reference == "" {
		return target{}, false
	}
	t := target{repository: name, reference: reference, manifest: noun == "manifests", blob: noun == "blobs"}
	switch {
	case t.manifest && t.isDigest():
		t.kind = kindOf(method, router.Pull, router.Pull)
	case t.manifest, noun == "referrers":
		t.kind = kindOf(method, router.Fresh, router.Fresh)
	case t.blob:
		t.kind = kindOf(method, router.Pull, router.Exists)
	default:
		return target{}, false
	}
	return t, true
}

func kindOf(method string, get, head router.Kind) router.Kind {
	switch method {
	case http.MethodGet:
		return get
	case http.MethodHead:
		return head
	case http.MethodPut, http.MethodDelete:
		return router.Write
	}
	return router.Other
}
