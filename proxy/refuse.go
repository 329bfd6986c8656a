package proxy

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/upstream"
)

// refuse answers in the gateway's own name.
func (x *exchange) refuse(status int, e ociError) {
	x.status, x.refused, x.answered = status, e, time.Now()
	if x.reason == "" {
		x.reason = x.decided.Reason
	}
	replica := "-"
	if asked := x.progress.asked.Load(); asked != nil {
		replica = asked.Name
	}
	x.w.Header().Set(replicaHeader, headerValue(replica, x.reason))
	if x.in.Header.Get(upstream.HopHeader) != "" {
		x.w.Header().Set(upstream.HopHeader, "1")
	}
	if bytes := writeError(x.w, status, e); x.in.Method != http.MethodHead {
		x.progress.sent.Add(int64(bytes))
	}
}

// refuseToAsk answers where the decision has nobody to ask.
func (x *exchange) refuseToAsk() {
	switch x.decided.Reason {
	case router.Deleted:
		x.refuse(http.StatusNotFound, x.unknown())
		return
	case router.NamedLeaving:
		x.refuse(http.StatusMethodNotAllowed, ociError{Code: codeUnsupported, Message: "the replica leaves the fleet, and " +
			"takes no push by its name: push to " + x.proxy.Hostname})
		return
	case router.Damaged:
		status, reason, e := x.errorOf(damagedError(x.decided.request.Damaged...))
		x.blame(reason)
		x.refuse(status, e)
		return
	}
	x.refuseLostUpload()
}

// refuseLostUpload answers a part that the replica of its upload does not take, because that is down, did not answer,
// or is none of the fleet's, or another registry by now. Most clients begin the blob, or the push, anew when the connection breaks. Who comes with
// the same upload again does not, and is told so in a way after which some still do (docs/request-handling.md has what
// each client does).
func (x *exchange) refuseLostUpload() {
	x.reason = router.UploadLost
	owner := x.decided.fleet.Replica(ownerName(x.decided.request.URLOwner))
	if owner == nil {
		x.refuse(http.StatusNotFound, ociError{Code: codeUploadUnknown,
			Message: "no replica of the fleet holds this upload: start the upload again"})
		return
	}
	x.progress.asked.Store(owner)
	detail := map[string]string{"replica": owner.Name}
	if x.proxy.brokenOff.first("upload "+x.in.URL.Path, time.Now()) {
		x.drain()
		if strings.HasPrefix(x.in.UserAgent(), containerd1) {
			x.refuse(http.StatusRequestTimeout, ociError{Code: codeUnavailable, Message: lostUpload, Detail: detail})
			return
		}
		x.breakOff()
	}
	x.refuse(http.StatusBadGateway, ociError{Code: codeUnavailable, Message: lostUpload, Detail: detail})
}

const lostUpload = "the replica that holds this upload is lost: start the upload again"

// containerd1 begins the User-Agent of a client that gives up when the connection breaks, and sends the same part
// again, whole, after 408 (RFC 9110, 15.5.9). Later ones do after both.
const containerd1 = "containerd/1."

// What is read of a part that is lost.
const (
	maxDrained = 256 << 20 // bytes
	drainTime  = 10 * time.Second
)

// drain takes the rest of a body, so that the client sees its connection end while it waits for the answer. podman and
// buildah begin anew after that, and not where they could not write. Who waits for leave to send is not given any.
func (x *exchange) drain() {
	if x.in.ProtoMajor > 1 || x.in.Header.Get("Expect") != "" && x.progress.received.Load() == 0 {
		return
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, x.clientBody(), maxDrained) // it may as well break off
}

// breakOff ends the client's connection without an answer.
func (x *exchange) breakOff() {
	x.status = statusBrokenOff
	panic(http.ErrAbortHandler)
}

// replicaHeader says on every response which replica answered and why. "-" stands for none.
const replicaHeader = "Fairlead-Replica"

func headerValue(replica string, reason router.Reason) string {
	if reason == "" {
		return replica
	}
	return replica + "; reason=" + string(reason)
}
