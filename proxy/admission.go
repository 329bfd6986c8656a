package proxy

import (
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
)

// maxFields is how many header fields a request may have. Clients of registries send some ten.
const maxFields = 100

// What a client has too much of itself is 429, which podman, skopeo, crane, regctl and containerd try again after; what
// the gateway has too little of is 503.
var (
	tooManyFields = refused(http.StatusRequestHeaderFieldsTooLarge, codeUnsupported,
		"the request has more than 100 header fields")
	tooManyConns = tooManyOfOneClient(
		"this client has as many connections to this gateway as one may (proxy.limits.client_share)")
	tooManyUploads = tooManyOfOneClient(
		"this client has begun as many uploads to this repository as one may without finishing them")
	tooManyOfOne = tooManyOfOneClient(
		"this client has as many requests under way at this gateway as one may (proxy.limits.client_share)")
	tooMany = &refusal{
		status: http.StatusServiceUnavailable, reason: router.Overloaded,
		error: ociError{
			Code: codeUnavailable, Message: "this gateway has as many requests under way as its memory allows",
		},
	}
)

// tooManyOfOneClient is a 429.
func tooManyOfOneClient(message string) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, reason: router.ClientLimit,
		error: ociError{Code: codeTooMany, Message: message},
	}
}

// priority is which requests find room when there is little. A gateway that is full is not down, and who probes it must
// not send its clients to the next one, which would be full then: pings come first. What carries on a push comes before
// what begins one.
type priority int

const (
	newcomer priority = iota
	continuing
	ping
)

func (x *exchange) priority(now time.Time) priority {
	switch {
	case x.target.kind == router.Ping && x.reads() && isProbe(x.in):
		return ping
	case x.target.kind == router.Upload && x.urlOwner != "",
		x.target.manifest && x.in.Method == http.MethodPut && x.proxy.pushes.running(x.pushKey(), now):
		return continuing
	}
	return newcomer
}

// isProbe reports whether a request may be one of those who look whether the gateway is there. It has no body, which
// would come as slowly as its sender likes.
func isProbe(r *http.Request) bool {
	return strings.TrimSuffix(r.URL.Path, "/") == "/v2" && (r.Body == nil || r.Body == http.NoBody)
}

// admit has a request take its room, until leave is called, or says why it may not.
func (x *exchange) admit() (leave func(), why *refusal) {
	now := time.Now()
	if countFields(x.in) > maxFields {
		return nil, tooManyFields
	}
	if x.postsUpload() && x.proxy.uploads.full(x.uploadsKey(), now) {
		return nil, tooManyUploads
	}
	leave, why = x.proxy.room.enter(x.client, x.proxy.room.needs(x.in), x.priority(now))
	if why != nil {
		return nil, why
	}
	// What waits here for its connection has its room already.
	conn, peer := connOf(x.in), addrOf(x.in.RemoteAddr)
	if conn != nil && !conn.admit(x.in.Context(), peer, x.settings.TrustedProxies) {
		leave()
		x.w.Header().Set("Connection", "close")
		return nil, tooManyConns
	}
	return leave, nil
}

// countFields is how many lines of fields a request has, with those that it says come after its body.
func countFields(r *http.Request) (n int) {
	for _, lines := range r.Header {
		n += len(lines)
	}
	return n + len(r.Trailer)
}

// refuseAdmission answers what was not admitted. Over HTTP/2 an answer needs no end of the request, whose fields would
// be held meanwhile.
func (x *exchange) refuseAdmission(why *refusal) {
	if x.in.ProtoMajor < 2 {
		x.drainUnwanted()
	}
	x.reason = why.reason
	x.refuse(why.status, why.error)
}
