package health

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// outcome is what a probe came to: a closed set, the metric's label.
type outcome string

const (
	alive       outcome = "ok"
	status      outcome = "status"
	timeout     outcome = "timeout"
	late        outcome = "late"     // a timeout, while requests were answered
	shortage    outcome = "shortage" // of this gateway's own: the probe never got to the target
	refused     outcome = "refused"
	closed      outcome = "closed"
	certificate outcome = "certificate"
	other       outcome = "other" // the text says what
)

// result is what an outcome says of the target.
func (o outcome) result() Result {
	switch o {
	case alive:
		return Success
	case late, shortage:
		return Unknown
	}
	return Failure
}

// outcomeOf is explain for one that knows when the probe began, and the target's last sign of life.
func outcomeOf(err error, began, sign time.Time) (outcome, string) {
	o, text := explain(err)
	if o == timeout && Late(began, sign) == Unknown {
		return late, "late, while requests were answered"
	}
	return o, text
}

// maxText bounds what a target can write into our log: names in its certificate, a malformed answer.
const maxText = 200

// explain turns a probe's error into the label and a text for people.
func explain(err error) (outcome, string) {
	var answered statusError
	var failed net.Error // a dialler's timeout may be told before its context's
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return alive, "ok"
	case OwnShortage(err):
		return shortage, clip("this gateway has not what a probe needs: " + err.Error())
	case errors.As(err, &answered):
		return status, answered.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &failed) && failed.Timeout():
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

// OwnShortage reports whether an error comes of what this machine or process has run out of: descriptors, ports,
// memory. It says nothing of whoever was to be reached.
func OwnShortage(err error) bool {
	var lookup *net.DNSError // keeps but the text
	named := errors.As(err, &lookup)
	for _, of := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS} {
		if errors.Is(err, of) || named && strings.HasSuffix(lookup.Err, of.Error()) {
			return true
		}
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL) && toIPv4(err)
}

// toIPv4: on a machine without IPv6 no address is available for any connection by it.
func toIPv4(err error) bool {
	var dialled *net.OpError
	if !errors.As(err, &dialled) {
		return false
	}
	to, ok := dialled.Addr.(*net.TCPAddr)
	return ok && to.IP.To4() != nil
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
