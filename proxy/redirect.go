package proxy

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
	"github.com/fairlead-gateway/fairlead/router"
)

// keepInside makes what leads a client to the replica itself lead to the gateway: the replica's own name is often one
// that nobody else can resolve. What leads elsewhere, such as to object storage, stays as it is.
func (x *exchange) keepInside(response *http.Response, replica *router.Replica) {
	location, err := url.Parse(response.Header.Get("Location"))
	redirected := response.StatusCode >= 300 && response.StatusCode < 400
	if err != nil || !x.reads() || !redirected || !x.isInside(location, replica.Name) {
		return
	}
	u := response.Request.URL.ResolveReference(location)
	if strings.HasPrefix(u.Path, "/v2/") || u.Path == "/v2" {
		response.Header.Set("Location", withQuery(u.EscapedPath(), u.RawQuery))
		return
	}
	response.Header.Set("Location", withOwner(u, markOf(replica))) // no other replica need have it
}

// realm is where a challenge sends clients for a token (RFC 9110, 11.5).
var realm = regexp.MustCompile(`(?i)\brealm="(https?://[^"\\]+)"`)

// challengeInside makes a realm at the replica's own name lead to the gateway, where the file lists its path. One that
// is not listed stays: clients may well reach it.
func (x *exchange) challengeInside(response *http.Response, replica string) {
	to := response.Request.Header
	for i, challenge := range response.Header.Values("WWW-Authenticate") {
		response.Header["Www-Authenticate"][i] = realm.ReplaceAllStringFunc(challenge, func(text string) string {
			u, err := url.Parse(realm.FindStringSubmatch(text)[1])
			if err != nil || !routable(u.Path, x.settings.Paths) || !x.isInside(u, replica) {
				return text
			}
			scheme, host := firstOf(to.Get("X-Forwarded-Proto")), firstOf(to.Get("X-Forwarded-Host"))
			if oci.SameHost(u.Host, host) || u.Scheme == "https" && scheme != "https" {
				return text // it leads here already, or would lead logins into clear text
			}
			u.Scheme, u.Host = scheme, host
			return `realm="` + u.String() + `"`
		})
	}
}

// firstOf a list is what the first proxy has seen.
func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first)
}

// isInside reports whether a URL leads to the replica. Here the port counts: object storage may have another one of the
// same host.
func (x *exchange) isInside(location *url.URL, replica string) bool {
	if location.Host == "" {
		return location.Scheme == "" && location.Path != ""
	}
	at := x.proxy.Upstreams.Endpoint(replica).URL
	for _, own := range x.ownHosts(replica) {
		if oci.SameHost(own, location.Host) && (samePort(own, location) || samePort(at.Host, location)) {
			return true
		}
	}
	return false
}

func samePort(own string, location *url.URL) bool {
	return explicitPort((&url.URL{Host: own}).Port(), location.Scheme) == explicitPort(location.Port(), location.Scheme)
}

// explicitPort is a port, or that of the scheme: a registry that is told only its name knows no other.
func explicitPort(port, scheme string) string {
	switch {
	case port != "":
		return port
	case scheme == "http":
		return "80"
	}
	return "443"
}
