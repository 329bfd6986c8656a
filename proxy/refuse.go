package proxy

import (
	"net/http"
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
	case router.Damaged:
		status, reason, e := x.errorOf(damagedError(x.decided.request.Damaged...))
		x.blame(reason)
		x.refuse(status, e)
		return
	}
	x.refuseLostUpload()
}

// refuseLostUpload answers a part that the replica of its upload does not take, because that is down, did not answer,
// or is none of the fleet's. Most clients begin the blob, or the push, anew when the connection breaks. Who comes with
// the same upload again does not, and is told that there is none (docs/request-handling.md has what each client does).
func (x *exchange) refuseLostUpload() {
	x.reason = router.UploadLost
	owner := x.decided.fleet.Replica(x.decided.request.URLOwner)
	if owner != nil {
		x.progress.asked.Store(owner)
		if x.proxy.brokenOff.first("upload "+x.in.URL.Path, time.Now()) {
			x.breakOff()
		}
	}
	e := ociError{
		Code: codeUploadUnknown, Message: "the replica that holds this upload is lost: start the upload again",
	}
	if owner != nil {
		e.Detail = map[string]string{"replica": owner.Name}
	}
	x.refuse(http.StatusNotFound, e)
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
