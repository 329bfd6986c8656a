package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// keepInside makes what leads a client to the replica itself lead to the gateway: the replica's own name is often one that
// nobody else can resolve. What leads elsewhere, such as to object storage, stays as it is.
func (x *exchange) keepInside(response *http.Response, replica string) {
	location, err := url.Parse(response.Header.Get("Location"))
	redirected := response.StatusCode >= 300 && response.StatusCode < 400
	if err != nil || !x.reads() || !redirected || !x.isInside(location, replica) {
		return
	}
	u := response.Request.URL.ResolveReference(location)
	if strings.HasPrefix(u.Path, "/v2/") || u.Path == "/v2" {
		response.Header.Set("Location", withQuery(u.EscapedPath(), u.RawQuery))
		return
	}
	response.Header.Set("Location", withOwner(u, replica)) // no other replica need have it
}

// isInside reports whether a Location leads to the replica. Here the port counts: object storage may have another one of the
// same host.
func (x *exchange) isInside(location *url.URL, replica string) bool {
	if location.Host == "" {
		return location.Scheme == "" && location.Path != ""
	}
	upstream := x.proxy.upstreams[replica].URL
	for _, own := range x.ownHosts(replica) {
		if sameHost(own, location.Host) && (samePort(own, location) || samePort(upstream.Host, location)) {
			return true
		}
	}
	return false
}

func samePort(own string, location *url.URL) bool {
	return explicitPort((&url.URL{Host: own}).Port(), location.Scheme) == explicitPort(location.Port(), location.Scheme)
}

// explicitPort: a registry that is told only its name knows its scheme's port.
func explicitPort(port, scheme string) string {
	switch {
	case port != "":
		return port
	case scheme == "http":
		return "80"
	}
	return "443"
}
