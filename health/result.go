package health

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"syscall"
)

// outcome is what a probe came to: a closed set, the metric's label.
type outcome string

const (
	alive       outcome = "ok"
	status      outcome = "status"
	timeout     outcome = "timeout"
	refused     outcome = "refused"
	closed      outcome = "closed"
	certificate outcome = "certificate"
	other       outcome = "other" // the text says what
)

// maxText bounds what a target can write into our log: names in its certificate, a malformed answer.
const maxText = 200

// explain turns a probe's error into the label and a text for people.
func explain(err error) (outcome, string) {
	var answered statusError
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return alive, "ok"
	case errors.As(err, &answered):
		return status, answered.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return timeout, "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused, "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return closed, "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return closed, "closed before the answer was complete"
	case errors.As(err, &untrusted):
		return certificate, clip("certificate: " + untrusted.Err.Error())
	}
	return other, clip(err.Error())
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
