package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// ownerParam is the reserved query parameter that names the replica of an upload in progress, or of
// the next page of a list. Every client tried carries the query of a Location back, so that any
// gateway can forward the next part without knowing anything else.
const ownerParam = "fairlead-replica"

// cutOwner takes the owner out of a raw query. All else stays as it is, byte for byte: registries
// sign the state that they keep there. Of several owners the first counts.
func cutOwner(rawQuery string) (owner, rest string) {
	if !strings.Contains(rawQuery, ownerParam) {
		return "", rawQuery
	}
	parts := strings.Split(rawQuery, "&")
	parts = slices.DeleteFunc(parts, func(part string) bool {
		name, value, _ := strings.Cut(part, "=")
		if name != ownerParam {
			return false
		}
		if owner == "" {
			owner = value
		}
		return true
	})
	return owner, strings.Join(parts, "&")
}

// withOwner is the path and query of u, naming the owner.
func withOwner(u *url.URL, owner string) string {
	_, rest := cutOwner(u.RawQuery)
	query := ownerParam + "=" + owner
	if rest != "" {
		query = rest + "&" + query
	}
	return u.EscapedPath() + "?" + query
}

var (
	errForeignLocation = errors.New("the replica sent an upload Location on another host")
	errBadLocation     = errors.New("the replica sent a Location that is no URL")
)

// localLocation resolves a Location against the URL that was asked. It may name the hosts that the
// request was sent to (hosts), and no other: an upload on a foreign host would leave the replica that
// owns the push, and oras and helm refuse to follow it.
func localLocation(location string, asked *url.URL, hosts []string) (u *url.URL, foreign bool, err error) {
	ref, err := url.Parse(location)
	if err != nil {
		return nil, false, errBadLocation
	}
	foreign = ref.Host != "" && !slices.ContainsFunc(hosts, func(h string) bool { return sameHost(h, ref.Host) })
	return asked.ResolveReference(ref), foreign, nil
}

// sameHost compares host names and ignores the port: registries that are told only their name leave
// out the port that they do not know of.
func sameHost(a, b string) bool {
	return strings.EqualFold((&url.URL{Host: a}).Hostname(), (&url.URL{Host: b}).Hostname())
}

// linkWithOwner makes the target of `Link: <URL>; rel="next"` (end-8b, end-12b) relative and names the
// replica in it: the marker of a page means nothing to another replica.
func linkWithOwner(link string, asked *url.URL, hosts []string, owner string) string {
	target, params, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	isNext := strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next")
	if !ok || !strings.HasPrefix(link, "<") || !isNext {
		return link
	}
	u, foreign, err := localLocation(target, asked, hosts)
	if err != nil || foreign {
		return link
	}
	return "<" + withOwner(u, owner) + ">" + params
}
