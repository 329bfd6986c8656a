package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

// What we put into the query of a Location, or of a link to a next page. Every client tried carries the query of a
// Location back, so that any gateway can forward the next part without knowing anything else.
const (
	ownerParam      = "fairlead-replica"    // the replica of an upload in progress, or of the next page of a list
	repositoryParam = "fairlead-repository" // of an upload whose path does not name it
	uploadParam     = "fairlead-upload"     // what is known of an upload: see uploadEmpty
)

// uploadEmpty says that nothing of an upload had been sent when its URL was given out.
const uploadEmpty = "empty"

// marks are what a URL has of ours.
type marks struct{ owner, repository, upload string }

// cutMarks takes ours out of a raw query. All else stays as it is, byte for byte: registries sign the state that they
// keep there. Of several the first counts.
func cutMarks(rawQuery string) (m marks, rest string) {
	var kept []string
	for part := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		into := m.field(name)
		if into == nil {
			kept = append(kept, part)
			continue
		}
		value, appended := splitAppended(value)
		if *into == "" {
			*into = value
		}
		if appended != "" {
			kept = append(kept, appended)
		}
	}
	return m, strings.Join(kept, "&")
}

// field is where the value of a parameter of ours goes. A client may have written its name in another way.
func (m *marks) field(name string) *string {
	if strings.Contains(name, "%") {
		name, _ = url.QueryUnescape(name)
	}
	switch name {
	case ownerParam:
		return &m.owner
	case repositoryParam:
		return &m.repository
	case uploadParam:
		return &m.upload
	}
	return nil
}

// splitAppended cuts off what a client has put behind our value. Where a registry's Location has no query, some clients
// put "?digest=" behind it without looking, and hit our value. What stands behind a question mark is what they meant to
// say to the registry.
func splitAppended(value string) (ours, appended string) {
	ours, appended, raw := strings.Cut(value, "?")
	if strings.Contains(ours, "%") {
		text, err := url.QueryUnescape(ours)
		if err != nil {
			text = ""
		}
		var rest string
		ours, rest, _ = strings.Cut(text, "?")
		if values, err := url.ParseQuery(rest); err == nil && !raw {
			appended = values.Encode()
		}
	}
	if end := strings.IndexFunc(ours, func(c rune) bool { return !strings.ContainsRune(nameChars, c) }); end >= 0 {
		ours = ours[:end]
	}
	return strings.Trim(ours, "/"), appended
}

// nameChars are what the names of replicas and repositories are made of.
// Behind the name of a replica, incarnationMark and its incarnation may follow.
const nameChars = "abcdefghijklmnopqrstuvwxyz0123456789-._/" + incarnationMark

// incarnationMark stands between a replica and its incarnation. Gateways of before cut it off, with what follows.
const incarnationMark = "~"

// markOf is the owner that a URL names: the replica, and which registry it is. Under the same name another one may be
// there when a client comes back with the URL.
func markOf(r *router.Replica) string {
	if r.Incarnation == "" {
		return r.Name
	}
	return r.Name + incarnationMark + r.Incarnation
}

// ownerName is the replica that a mark names.
func ownerName(mark string) string {
	name, _, _ := strings.Cut(mark, incarnationMark)
	return name
}

// ownerIn is the replica of the fleet that the URL means. Where that is another registry now, or leaves and has had its
// time, it is none of the fleet's, and has the mark of the URL.
func (x *exchange) ownerIn(fleet *router.Fleet, now time.Time) string {
	name, incarnation, marked := strings.Cut(x.urlOwner, incarnationMark)
	of := fleet.Replica(name)
	switch {
	case of == nil:
		return x.urlOwner
	case marked && of.Incarnation != "" && incarnation != of.Incarnation,
		x.target.kind == router.Upload && of.Operator == router.Leaving && x.settings.drains.Over(name, now):
		return name + incarnationMark + incarnation
	}
	return name
}

// cutOwner is cutMarks for who asks only about the owner.
func cutOwner(rawQuery string) (owner, rest string) {
	m, rest := cutMarks(rawQuery)
	return m.owner, rest
}

// withOwner is the path and query of u, naming the owner.
func withOwner(u *url.URL, owner string) string { return withMarks(u, marks{owner: owner}) }

// withMarks has the owner at the end, where clients append to it what they do not look at.
func withMarks(u *url.URL, m marks) string {
	_, query := cutMarks(u.RawQuery)
	if m.repository != "" {
		query = joined(query, repositoryParam+"="+m.repository)
	}
	if m.upload != "" {
		query = joined(query, uploadParam+"="+m.upload)
	}
	return u.EscapedPath() + "?" + joined(query, ownerParam+"="+m.owner)
}

func joined(query, parameter string) string {
	if query == "" {
		return parameter
	}
	return query + "&" + parameter
}

var (
	errForeignLocation = errors.New("the replica sent an upload Location on another host")
	errOutside         = errors.New("the replica keeps uploads where proxy.paths of the gateway has to name them")
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
	foreign = ref.Host != "" && !slices.ContainsFunc(hosts, func(h string) bool { return oci.SameHost(h, ref.Host) })
	return asked.ResolveReference(ref), foreign, nil
}

// linksWithOwner makes the target of `Link: <URL>; rel="next"` (end-8b, end-12b) relative and names the replica in it:
// the marker of a page means nothing to another replica. Other links to the replica itself become relative. A line that
// cannot be read stays as it is.
func linksWithOwner(line string, asked *url.URL, hosts []string, owner string) string {
	links, err := oci.List(line)
	if err != nil {
		return line
	}
	out := make([]string, len(links))
	for i, link := range links {
		target := link.Target
		if target == "" {
			return line
		}
		switch u, foreign, err := localLocation(target, asked, hosts); {
		case err != nil || foreign:
		case link.Rel("next"):
			target = withOwner(u, owner)
		case strings.Contains(target, "//"):
			target = withQuery(u.EscapedPath(), u.RawQuery)
		}
		out[i] = "<" + target + ">" + link.Text
	}
	return strings.Join(out, ", ")
}
