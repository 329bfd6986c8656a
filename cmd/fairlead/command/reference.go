package command

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// reference is an image as people write it: [HOST/]REPOSITORY[:TAG][@DIGEST].
type reference struct {
	host       string // "" if none was written
	repository string
	name       string // the digest, else the tag
}

func (r reference) isDigest() bool { return strings.Contains(r.name, ":") }

func (r reference) String() string {
	separator := ":"
	if r.isDigest() {
		separator = "@"
	}
	return r.repository + separator + r.name
}

var validHost = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$`)

// parseReference takes what stands before the first slash for a host where docker does: if it has a dot or a colon, or
// is localhost. Without tag and digest the tag is latest.
func parseReference(text string) (r reference, err error) {
	rest := text
	if first, after, more := strings.Cut(text, "/"); more && (strings.ContainsAny(first, ".:") ||
		first == "localhost") {
		r.host, rest = first, after
	}
	rest, digest, hasDigest := strings.Cut(rest, "@")
	var tag string
	r.repository, tag, _ = strings.Cut(rest, ":")
	if !strings.Contains(rest, ":") {
		tag = "latest"
	}
	switch {
	case r.host != "" && !validHost.MatchString(r.host):
		return reference{}, fmt.Errorf("%q: %q is not a host", text, r.host)
	case !oci.IsRepository(r.repository):
		return reference{}, fmt.Errorf("%q: not an image: [HOST/]REPOSITORY[:TAG][@DIGEST], the repository in lower case", text)
	case !oci.IsTag(tag):
		return reference{}, fmt.Errorf("%q: %q is not a tag", text, tag)
	case hasDigest && !oci.IsDigest(digest):
		return reference{}, fmt.Errorf("%q: %q is not a sha256 or sha512 digest", text, digest)
	}
	r.name = tag
	if hasDigest {
		r.name = digest
	}
	return r, nil
}
