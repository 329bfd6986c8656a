package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/fairlead-gateway/fairlead/router"
	"github.com/fairlead-gateway/fairlead/transfer"
	"github.com/fairlead-gateway/fairlead/upstream/h1"
)

// ociError is one error of the OCI error envelope (distribution spec, "Error Codes").
type ociError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail,omitempty"`
}

// codeUnavailable is not in the spec's list; distribution answers so, and clients show its message.
const (
	codeUnavailable   = "UNAVAILABLE"
	codeTooMany       = "TOOMANYREQUESTS"
	codeUploadUnknown = "BLOB_UPLOAD_UNKNOWN"
	codeUploadInvalid = "BLOB_UPLOAD_INVALID"
	codeNameUnknown   = "NAME_UNKNOWN"
	codeNameInvalid   = "NAME_INVALID"
	codeDigestInvalid = "DIGEST_INVALID"

	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeUnsupported         = "UNSUPPORTED"
)

// retryAfter is what a client is told to wait for a replica to come back or to be given up: about the
// time that the probes need to decide.
const retryAfter = 5 * time.Second

func encodeError(e ociError) []byte {
	body, err := json.Marshal(struct {
		Errors []ociError `json:"errors"`
	}{[]ociError{e}})
	if err != nil {
		return []byte(`{"errors":[]}`)
	}
	return body
}

// writeError returns how long the answer's body is.
func writeError(w http.ResponseWriter, status int, e ociError) (bytes int) {
	body := encodeError(e)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	bytes, _ = w.Write(body) // a client that is gone needs no answer; for HEAD net/http drops the body
	return bytes
}

// losesUpload reports whether the replica of an upload did not answer, for no fault of the client's or of what it sent.
func (x *exchange) losesUpload(err error) bool {
	r := x.decided.request
	return r.Kind == router.Upload && r.URLOwner != "" && r.Named == "" && !x.progress.clientFailed.Load() &&
		!errors.Is(x.cause(err), errStalled) && !errors.Is(err, h1.ErrNonsense) && !unpassable(err)
}

// handleError says in the registry's own form what went wrong between gateway and replica.
func (x *exchange) handleError(err error) {
	if x.clientGone() {
		x.status = statusClientGone
		panic(http.ErrAbortHandler) // a plain return would be an empty 200
	}
	if transfer.Throttled(err) {
		x.refuse(http.StatusTooManyRequests, ociError{Code: codeTooMany, Message: err.Error()})
		return
	}
	if refused := (guardError{}); errors.As(err, &refused) {
		x.refuseIncomplete(refused)
		return
	}
	if x.losesUpload(err) {
		x.refuseLostUpload()
		return
	}
	err = x.cause(err)
	x.proxy.Log.Debug("request failed", "path", x.in.URL.Path, "error", err)
	status, reason, e := x.errorOf(err)
	x.blame(reason)
	x.refuse(status, e)
}

// blame takes the gateway's own reason for a refusal, where there is one. If no replica has to do with it, none is
// named.
func (x *exchange) blame(reason router.Reason) {
	switch reason {
	case "":
		return
	case router.Shortage, router.NoRoom, router.ClientLimit, router.Unreachable, router.Damaged:
		x.progress.asked.Store(nil)
	}
	x.reason = reason
}

// errorOf is the status and the error that a client gets, and the gateway's own reason for it; "" where it is the
// replica's doing, and the reason is why that one was asked.
func (x *exchange) errorOf(err error) (status int, reason router.Reason, e ociError) {
	e = ociError{Code: codeUnavailable, Message: err.Error()}
	switch {
	case unpassable(err):
		e.Code = codeUnsupported
		return http.StatusBadGateway, "", e
	case isAny(err, h1.ErrNonsense, errReplaced):
		return http.StatusBadGateway, "", e
	case errors.Is(err, errDamaged):
		return http.StatusBadGateway, router.Damaged, e
	case x.proxy.OwnShortage(err):
		e.Message = "this gateway has run out of descriptors, ports or memory"
		return http.StatusServiceUnavailable, router.Shortage, e
	case errors.Is(err, errTooManyThere):
		e.Code = codeTooMany
		return http.StatusTooManyRequests, router.ClientLimit, e
	case errors.Is(err, errNoRoom):
		return http.StatusServiceUnavailable, router.NoRoom, e
	case errors.Is(err, errStalled):
		return http.StatusGatewayTimeout, "", e
	case x.progress.clientFailed.Load():
		return http.StatusBadRequest, "",
			ociError{Code: codeUploadInvalid, Message: "the request's body broke off or is malformed"}
	case errors.Is(err, errUnrecorded):
		return http.StatusServiceUnavailable, router.Unrecorded, e
	case errors.Is(err, errOlder):
		return http.StatusServiceUnavailable, router.Stale, e
	case errors.Is(err, errHolderDown):
		return http.StatusServiceUnavailable, router.HolderDown, e
	case x.decided.Reason == router.LastResort:
		e.Message = "no replica can be reached"
		return http.StatusServiceUnavailable, router.Unreachable, e
	case isAny(err, errNoAnswer, errReplicaDown):
		return http.StatusGatewayTimeout, "", e
	}
	e.Message = "the replica cannot be reached"
	return http.StatusBadGateway, "", e
}

func isAny(err error, of ...error) bool {
	return slices.ContainsFunc(of, func(one error) bool { return errors.Is(err, one) })
}
