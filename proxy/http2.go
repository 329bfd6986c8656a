package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/proxy/strict"
)

var (
	badTarget      = refused(http.StatusBadRequest, codeUnsupported, "the request's path has no valid form")
	badHost        = refused(http.StatusBadRequest, codeUnsupported, "the request's authority has no valid form")
	otherHost      = refused(http.StatusBadRequest, codeUnsupported, "the request names different hosts")
	badLength      = refused(http.StatusBadRequest, codeUnsupported, "the request's content-length is not its body's")
	lookalike      = refused(http.StatusBadRequest, codeUnsupported, "a field's name is nearly that of the framing")
	badExpectation = refused(http.StatusExpectationFailed, codeUnsupported, "nothing but 100-continue can be expected")
)

// refusalOfHTTP2 is for what net/http lets through of HTTP/2 that becomes another request in HTTP/1.1, or none: package
// strict sees only HTTP/1.x (RFC 9113, 8.3.1 and 10.3). Connection-specific fields, other pseudo-header fields and
// bodies that are not as long as they say net/http refuses itself.
func refusalOfHTTP2(r *http.Request) *refusal {
	switch {
	case !strict.ValidPath(r.RequestURI) && (r.RequestURI != "*" || r.Method != http.MethodOptions):
		return badTarget
	case r.Host != "" && !strict.ValidHost(r.Host):
		return badHost
	case !alike(r.Header["Host"], r.Host):
		return otherHost
	case !isLength(r.Header["Content-Length"], r.ContentLength):
		return badLength
	case r.Header["Content_length"] != nil, r.Header["Transfer_encoding"] != nil:
		return lookalike
	case !alike(r.Header["Expect"], "100-continue"):
		return badExpectation
	}
	return nil
}

// alike: a field that may be there once says what it must.
func alike(values []string, want string) bool {
	return len(values) == 0 || len(values) == 1 && strings.EqualFold(values[0], want)
}

// isLength: net/http takes what it cannot read for 0, and of several the first. It is 0, too, where no body follows.
func isLength(values []string, length int64) bool {
	if len(values) == 0 {
		return true
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	return len(values) == 1 && err == nil && int64(n) == length
}
