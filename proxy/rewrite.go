package proxy

import (
	"errors"
	"net/http"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// fitForClient rewrites what names a place: an upload's Location, the next page of a list.
func (x *exchange) fitForClient(response *http.Response) {
	asked := x.progress.asked.Load()
	replica := asked.Name
	dropHopByHop(response.Header)
	response.Header.Del(upstream.HopHeader) // a replica's answer is never a gateway's own
	response.Header.Del("Set-Cookie")
	if links := response.Header.Values("Link"); len(links) > 0 && router.Accepted(response.StatusCode) {
		for i := range links {
			links[i] = linksWithOwner(links[i], response.Request.URL, x.ownHosts(replica), markOf(asked))
		}
	}
	x.keepInside(response, asked)
	x.challengeInside(response, replica)
	x.nameContent(response)
	response.Header.Set(replicaHeader, headerValue(replica, x.reason))
	addVia(response.Header, response.ProtoMajor, response.ProtoMinor)
	if len(response.Header["Content-Type"]) == 0 {
		x.w.Header()["Content-Type"] = nil // else net/http guesses one, which may be HTML
	}
}

var errPushRedirected = errors.New("the replica redirects a push")

// unpassable reports whether the replica did answer, but with what must not be passed on.
func unpassable(err error) bool {
	return isAny(err, errForeignLocation, errOutside, errPushRedirected, errBadLocation)
}

// rewriteLocation has a push never leave its replica. Uploads in progress get a relative Location that names the
// replica, finished content a bare one. Redirects of pulls are keepInside's, and of a push without a body the one to
// the same path with a slash passes.
func (x *exchange) rewriteLocation(response *http.Response, replica *router.Replica) error {
	location := response.Header.Get("Location")
	if x.target.kind != router.Write && x.target.kind != router.Upload || location == "" {
		return nil
	}
	u, foreign, err := localLocation(location, response.Request.URL, x.ownHosts(replica.Name))
	if err != nil {
		return err
	}
	_, query := cutOwner(u.RawQuery)
	bare := withQuery(u.EscapedPath(), query)
	switch status := response.StatusCode; {
	case x.inProgress(response):
		if foreign {
			return errForeignLocation
		}
		if !routable(u.Path, x.settings.Paths) {
			return outsideError(u.Path)
		}
		response.Header.Set("Location", withMarks(u, marks{markOf(replica), x.repositoryFor(u.Path), x.knownOfUpload()}))
	case router.Accepted(status) && !routable(u.Path, x.settings.Paths):
		response.Header.Del("Location") // what was committed stays so; a client does well without
	case router.Accepted(status):
		response.Header.Set("Location", bare)
	case status < 300 || status >= 400:
	case foreign || u.Path != x.in.URL.Path+"/" || x.in.ContentLength != 0:
		return errPushRedirected
	default:
		response.Header.Set("Location", bare)
	}
	return nil
}

func withQuery(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// ownHosts are the names under which a replica may speak of itself.
func (x *exchange) ownHosts(replica string) []string {
	at := x.proxy.Upstreams.Endpoint(replica)
	hosts := []string{at.URL.Host, at.Host, x.in.Host, replica + "." + x.proxy.Hostname}
	if isTrusted(addrOf(x.in.RemoteAddr), x.settings.TrustedProxies) {
		hosts = append(hosts, forwardedBy(x.in.Header).host)
	}
	return hosts
}
