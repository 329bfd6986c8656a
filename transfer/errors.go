package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// Error is what went wrong with a request to a replica (OCI distribution spec 1.1, "Error Codes").
type Error struct {
	Replica, Method string
	Status          int    // 0: no answer
	Text            string // of the OCI error, shortened
	Err             error
}

func (e *Error) Error() string {
	s := e.Replica + ": " + e.Method
	if e.Status != 0 {
		s += fmt.Sprintf(": %d", e.Status)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Passing reports whether another try may succeed. For other errors the replica would answer the same again.
func Passing(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == 0 || e.Status >= 500 || e.Status == http.StatusTooManyRequests)
}

// brokeOff reports whether the connection ended, or something in front of the replica says that it did. Our own
// timeouts do not count.
func brokeOff(err error) bool {
	var e *Error
	return errors.As(err, &e) && !errors.Is(err, errNoAnswer) &&
		(e.Status == 0 || e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout)
}

// Refused reports whether the replica does not let this client.
func Refused(err error) bool {
	return hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden)
}

// Missing reports whether the replica does not have what it was asked for.
func Missing(err error) bool { return hasStatus(err, http.StatusNotFound) }

var errUncertain = errors.New("the replica may have committed it")

// Uncertain reports whether what was put may be there, or may yet appear, although the replica did not confirm it.
func Uncertain(err error) bool {
	var e *Error
	return errors.Is(err, errUncertain) || errors.As(err, &e) && e.Method == http.MethodPut && Passing(err)
}

// Damaged reports whether the replica has content that does not match its digest. Some registries keep what came of a
// request that broke off.
func Damaged(err error) bool { return errors.Is(err, errDigest) }

// Throttled reports whether the replica wants to be asked less.
func Throttled(err error) bool { return hasStatus(err, http.StatusTooManyRequests) }

// Unsupported reports whether the replica does not support the request at all.
func Unsupported(err error) bool { return hasStatus(err, http.StatusMethodNotAllowed) }

// At returns the name of the replica that an error is about; "" if it is about none.
func At(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Replica
	}
	return ""
}

func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// Bounds of what is read of an OCI error, and of what is shown of it.
const (
	maxErrorBody = 4 << 10
	maxErrorText = 200
)

// refused makes an error of an answer, and closes the answer.
func (p *peer) refused(response *http.Response, err error) error {
	defer response.Body.Close()
	e := &Error{Replica: p.Name, Method: response.Request.Method, Status: response.StatusCode, Err: err}
	var envelope struct {
		Errors []struct{ Code, Message string }
	}
	body, _ := oci.ReadBody(response, maxErrorBody)
	if json.Unmarshal(body, &envelope) == nil && len(envelope.Errors) > 0 {
		// The transport may have shown a login of its own.
		first, shown := envelope.Errors[0], response.Request.Header.Get("Authorization")
		e.Text = excerpt(first.Code, p.authorization, shown) + ": " + excerpt(first.Message, p.authorization, shown)
	}
	return e
}

// excerpt shortens a text from a replica. It returns nothing of one that repeats a credential that the replica was
// shown, even in part or in another encoding.
func excerpt(text string, authorizations ...string) string {
	if slices.ContainsFunc(authorizations, func(a string) bool { return repeats(text, a) }) {
		return "***"
	}
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

func repeats(text, authorization string) bool {
	_, secret, ok := strings.Cut(authorization, " ")
	if !ok {
		secret = authorization
	}
	_, password, _ := (&http.Request{Header: http.Header{"Authorization": {authorization}}}).BasicAuth()
	return holdsPart(text, secret) || holdsPart(text, password)
}

// partOfSecret is how many bytes of a credential in a text are enough to hide it.
const partOfSecret = 8

func holdsPart(text, secret string) bool {
	size := min(partOfSecret, len(secret))
	for i := 0; size > 0 && i+size <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+size]) {
			return true
		}
	}
	return false
}
