package oci

import (
	"net/url"
	"strings"
)

// SameHost compares host names and ignores their ports: registries that are told only their name leave out a port that
// they do not know of.
func SameHost(a, b string) bool {
	return strings.EqualFold((&url.URL{Host: a}).Hostname(), (&url.URL{Host: b}).Hostname())
}
