package webhook

import (
	"fmt"
	"regexp"
	"strings"
)

// scope is which repositories and tags a subscription is about.
type scope struct {
	repository string // empty: all
	tag        string // "*": all, and what has no tag
}

var (
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// parseScope reads a scope as ACR does: foo:bar, foo:* for all of foo, foo for foo:latest, empty for all.
func parseScope(s string) (scope, error) {
	if s == "" {
		return scope{tag: "*"}, nil
	}
	repository, tag, tagged := strings.Cut(s, ":")
	if !tagged {
		tag = "latest"
	}
	if len(repository) > 255 || !repositoryForm.MatchString(repository) {
		return scope{}, fmt.Errorf("scope %.300q: the repository must be a repository's name", s)
	}
	if tag != "*" && !tagForm.MatchString(tag) {
		return scope{}, fmt.Errorf("scope %.300q: the tag must be a tag or *", s)
	}
	return scope{repository, tag}, nil
}

func (s scope) holds(t Target) bool {
	return (s.repository == "" || s.repository == t.Repository) && (s.tag == "*" || s.tag == t.Tag)
}
