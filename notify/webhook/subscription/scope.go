package subscription

import (
	"fmt"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// Scope is which repositories and tags a subscription is about.
type Scope struct {
	Repository string // empty: all
	Tag        string // "*": all, and what has no tag
}

// ParseScope reads a scope as ACR does: foo:bar, foo:* for all of foo, foo for foo:latest, empty for all.
func ParseScope(s string) (Scope, error) {
	if s == "" {
		return Scope{Tag: "*"}, nil
	}
	repository, tag, tagged := strings.Cut(s, ":")
	if !tagged {
		tag = "latest"
	}
	if !oci.IsRepository(repository) {
		return Scope{}, fmt.Errorf("scope %.300q: the repository must be a repository's name", s)
	}
	if tag != "*" && !oci.IsTag(tag) {
		return Scope{}, fmt.Errorf("scope %.300q: the tag must be a tag or *", s)
	}
	return Scope{repository, tag}, nil
}

// CheckScope wants a scope that ParseScope reads.
func CheckScope(s string) error {
	_, err := ParseScope(s)
	return err
}

// Holds reports whether a tag of a repository is in the scope; "" is no tag.
func (s Scope) Holds(repository, tag string) bool {
	return (s.Repository == "" || s.Repository == repository) && (s.Tag == "*" || s.Tag == tag)
}
