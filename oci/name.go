package oci

import "regexp"

// Bounds of names, in bytes.
const (
	MaxRepository = 255 // the limit that registries share (OCI distribution spec 1.1, "Pulling manifests")
	MaxDigest     = 512 // more than any digest has
)

// Names as the specs have them (OCI distribution spec 1.1, "Pulling manifests"; image spec 1.1, "Digests").
var (
	repositoryName = regexp.MustCompile(`^` + repositoryGrammar + `$`)
	tagName        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestName     = regexp.MustCompile(`^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`)
	registered     = regexp.MustCompile(`^sha(?:256|512):`)
)

const repositoryGrammar = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*`

// IsRepository reports whether a repository can have the name (OCI distribution spec 1.1, "Pulling manifests": <name>).
func IsRepository(name string) bool {
	return len(name) <= MaxRepository && repositoryName.MatchString(name)
}

// IsTag reports whether a tag can have the name (OCI distribution spec 1.1, "Pulling manifests": <reference> as a tag).
func IsTag(name string) bool { return tagName.MatchString(name) }

// HasDigestForm reports whether a text is a digest by the grammar alone (OCI image spec 1.1, "Digests"). The grammar
// leaves open what follows the name of an algorithm.
func HasDigestForm(s string) bool { return len(s) <= MaxDigest && digestName.MatchString(s) }

// MayBeDigest reports whether a text is a digest that can be verified, or one of an algorithm that is not known here.
func MayBeDigest(s string) bool {
	if registered.MatchString(s) {
		return IsDigest(s)
	}
	return HasDigestForm(s)
}
