package webhook

import (
	"fmt"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// scope is which repositories and tags a subscription is about.
type scope struct {
	repository string // empty: all
	tag        string // "*": all, and what has no tag
}

// parseScope reads a scope as ACR does: foo:bar, foo:* for all of foo, foo for foo:latest, empty for all.
func parseScope(s string) (scope, error) {
	if s == "" {
		return scope{tag: "*"}, nil
	}
	repository, tag, tagged := strings.Cut(s, ":")
	if !tagged {
		tag = "latest"
	}
	if !oci.IsRepository(repository) {
		return scope{}, fmt.Errorf("scope %.300q: the repository must be a repository's name", s)
	}
	if tag != "*" && !oci.IsTag(tag) {
		return scope{}, fmt.Errorf("scope %.300q: the tag must be a tag or *", s)
	}
	return scope{repository, tag}, nil
}

func (s scope) holds(t Target) bool {
	return (s.repository == "" || s.repository == t.Repository) && (s.tag == "*" || s.tag == t.Tag)
}
