package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
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

func writeError(w http.ResponseWriter, status int, e ociError) {
	body := encodeError(e)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer; for HEAD net/http drops the body
}
