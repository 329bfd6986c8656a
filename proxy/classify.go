package proxy

import (
	"path"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
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

// isDigest reports whether the reference is a digest: a tag never holds a colon.
func (t target) isDigest() bool { return strings.Contains(t.reference, ":") }

// belongsTo is the digest of the manifest that is asked about, or that what is asked about belongs to: its referrers,
// and the tags that name it (OCI distribution spec 1.1, "Referrers Tag Schema"; cosign appends .sig, .att and .sbom).
// "" if none.
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

// routable reports whether a path may reach a replica at all: the registry API, and what the file
// lists beside it. A replica's /metrics or /debug is nobody's business, so a path that a replica may
// read as another one (dot segments, doubled slashes) is not routable either.
func routable(p string, listed []string) bool {
	if strings.ContainsFunc(p, misread) || path.Clean(p) != strings.TrimSuffix(p, "/") {
		return false
	}
	return p == "/v2" || strings.HasPrefix(p, "/v2/") ||
		slices.ContainsFunc(listed, func(l string) bool { return matchesListed(l, p) })
}

// misread are characters that the registry API has no use for, and that some server turns into a path
// of its own: a second decoding, a backslash for a slash, Tomcat's and Jetty's path parameters.
func misread(c rune) bool { return c < ' ' || strings.ContainsRune("%;\\\x7f", c) }

// classify reads a routable request. Other is what the spec does not have: refusalOf says whether a replica may get it.
func classify(method, p string) target {
	rest, below := strings.CutPrefix(p, "/v2/")
	if !below || rest == "" || rest == "_catalog" || isService(rest) {
		return target{kind: router.Ping}
	}
	t, methods := parse(rest)
	if methods == nil || !oci.IsRepository(t.repository) {
		return target{kind: router.Other}
	}
	t.kind = router.Other
	if kind, ok := methods[method]; ok && (!changes(method) || t.wellFormed()) {
		t.kind = kind
	}
	return t
}

// isService reports whether a path below /v2/ may be a token service (/v2/token, /v2/auth). One word below /v2/ is no
// repository's path, and what begins with an underscore is an extension.
func isService(rest string) bool {
	return !strings.Contains(rest, "/") && !strings.HasPrefix(rest, "_")
}

// endpoint is what the methods of the spec mean on a path of one form.
type endpoint map[string]router.Kind

var (
	endUploads = endpoint{"POST": router.Write}
	endUpload  = endpoint{
		"GET": router.Upload, "HEAD": router.Upload, "PATCH": router.Upload, "PUT": router.Upload,
		"DELETE": router.Upload,
	}
	endTag    = endpoint{"GET": router.Fresh, "HEAD": router.Fresh, "PUT": router.Write, "DELETE": router.Write}
	endDigest = endpoint{"GET": router.Pull, "HEAD": router.Pull, "PUT": router.Write, "DELETE": router.Write}
	endBlob   = endpoint{"GET": router.Pull, "HEAD": router.Exists, "DELETE": router.Write}
	endList   = endpoint{"GET": router.Fresh, "HEAD": router.Fresh}
)

// parse reads what stands below /v2/. The words that end a repository's name (manifests, blobs, tags, referrers) may
// also stand inside it, so a path is read from its end, as registries do. The name has not been looked at. A nil
// endpoint: no path of the spec.
func parse(rest string) (target, endpoint) {
	for _, read := range []func(string) (target, endpoint){parseUploads, parseUpload, parseTags, parseReferenced} {
		if t, methods := read(rest); methods != nil {
			return t, methods
		}
	}
	return target{}, nil
}

// parseUploads reads NAME/blobs/uploads/ (end-4, end-11), and the same without the slash, which most registries take.
func parseUploads(rest string) (target, endpoint) {
	name, ok := strings.CutSuffix(strings.TrimSuffix(rest, "/"), "/blobs/uploads")
	if !ok {
		return target{}, nil
	}
	return target{repository: name}, endUploads
}

// parseUpload reads NAME/blobs/uploads/ID (end-5, end-6, end-13). The id is the registry's own, and may have slashes.
func parseUpload(rest string) (target, endpoint) {
	const mark = "/blobs/uploads/"
	i := strings.LastIndex(rest, mark)
	if i < 0 {
		return target{}, nil
	}
	id := rest[i+len(mark):]
	if id == "" || hasNoun(id) {
		return target{}, nil // NAME/blobs/uploads may be a repository's name
	}
	return target{repository: rest[:i], reference: id}, endUpload
}

// hasNoun reports whether an element of the path is, in whatever case, a word that ends a repository's name, by which
// some server may read it.
func hasNoun(p string) bool {
	for element := range strings.SplitSeq(p, "/") {
		for _, noun := range []string{"manifests", "blobs", "tags", "referrers"} {
			if strings.EqualFold(element, noun) {
				return true
			}
		}
	}
	return false
}

// parseTags reads NAME/tags/list (end-8).
func parseTags(rest string) (target, endpoint) {
	name, ok := strings.CutSuffix(rest, "/tags/list")
	if !ok {
		return target{}, nil
	}
	return target{repository: name}, endList
}

// parseReferenced reads NAME/{manifests,blobs,referrers}/REFERENCE (end-2, 3, 7, 9, 10, 12).
func parseReferenced(rest string) (target, endpoint) {
	head, reference := path.Split(rest)
	name, noun := path.Split(strings.TrimSuffix(head, "/"))
	t := target{
		repository: strings.TrimSuffix(name, "/"), reference: reference,
		manifest: noun == "manifests", blob: noun == "blobs",
	}
	switch {
	case reference == "":
		return target{}, nil
	case t.manifest && t.isDigest():
		return t, endDigest
	case t.manifest:
		return t, endTag
	case t.blob:
		return t, endBlob
	case noun == "referrers":
		return t, endList
	}
	return target{}, nil
}

// wellFormed reports whether what is to be written has a name that every registry reads in one way. What is only asked
// for by another name is for the registries to know.
func (t target) wellFormed() bool {
	switch {
	case !t.manifest && !t.blob:
		return true // the id of an upload is its registry's own
	case !t.isDigest():
		return t.manifest && oci.IsTag(t.reference)
	}
	return oci.MayBeDigest(t.reference)
}
