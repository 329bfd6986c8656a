package subscription

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of subscriptions: of all of them, of a URI, and of headers, names and values together.
const (
	MaxSubscriptions = 500
	MaxURI           = 2048
	MaxHeaders       = 32
	MaxHeadersBytes  = 8 << 10
	minSecret        = 16
	maxSecret        = 256
)

// ErrInvalid is a subscription that breaks a rule; the error says which, all of them at once.
var ErrInvalid = errors.New("invalid webhook")

// ErrPort is a URI that is good save for its port.
var ErrPort = errors.New("uri must have a port from 1 to 65535, or none")

var (
	nameForm        = regexp.MustCompile(`^[a-zA-Z0-9]{5,50}$`)
	headerNameForm  = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$")
	headerValueForm = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
)

// Check says all that is wrong with a subscription where there are these regions.
func (s Subscription) Check(regions []string) error {
	errs := []error{CheckName(s.Name)}
	if s.Location != "" && !slices.Contains(regions, s.Location) {
		errs = append(errs, fmt.Errorf("location %.60q must be one of %v, or none for all of them", s.Location,
			regions))
	}
	errs = append(errs,
		CheckURI(s.ServiceURI), checkActions(s.Actions), checkHeaders(s.CustomHeaders), CheckScope(s.Scope))
	if s.Status != Enabled && s.Status != Disabled {
		errs = append(errs, fmt.Errorf("status %.20q must be %s or %s", s.Status, Enabled, Disabled))
	}
	errs = append(errs, CheckSecret(s.Secret))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// CheckName wants letters and digits, as ACR does.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("name %.60q must be 5 to 50 letters and digits", name)
	}
	return nil
}

// CheckSecret wants a secret that is long enough to sign with, or none.
func CheckSecret(secret string) error {
	if secret != "" && (len(secret) < minSecret || len(secret) > maxSecret) {
		return fmt.Errorf("secret must have %d to %d bytes", minSecret, maxSecret)
	}
	return nil
}

func checkActions(actions []Action) error {
	if len(actions) == 0 {
		return errors.New("actions must name at least one")
	}
	seen := map[Action]bool{}
	for _, a := range actions {
		if !slices.Contains(Actions(), a) {
			return fmt.Errorf("action %.40q must be one of %v", a, Actions())
		}
		if seen[a] {
			return fmt.Errorf("action %q is named twice", a)
		}
		seen[a] = true
	}
	return nil
}

// CheckURI wants where a request can be sent. It never quotes the address: with some receivers it is the secret.
func CheckURI(uri string) error {
	if len(uri) > MaxURI {
		return fmt.Errorf("uri must have at most %d bytes", MaxURI)
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return errors.New("uri cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("uri must begin with https:// or http://")
	case u.Hostname() == "" || u.Opaque != "" || strings.ContainsAny(u.Host, " \t%"):
		return errors.New("uri must name a host")
	case u.User != nil:
		return errors.New("uri must not have a user or password: put an Authorization header into the headers")
	case u.Fragment != "":
		return errors.New("uri must not have a fragment: it is never sent")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return ErrPort
		}
	}
	return nil
}

// reservedHeaders say how a request is sent, in which a subscription has no say.
var reservedHeaders = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// CheckHeaderName wants a header that is for a subscription to set.
func CheckHeaderName(name string) error {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !headerNameForm.MatchString(name):
		return fmt.Errorf("header %.60q is no header's name", name)
	case slices.Contains(reservedHeaders, canonical) || strings.HasPrefix(canonical, "Fairlead-"):
		return fmt.Errorf("header %.60q is not for a webhook to set", name)
	}
	return nil
}

// CheckHeaderValue wants text that can be sent in a header. It never quotes it: it may be a secret.
func CheckHeaderValue(value string) error {
	if !headerValueForm.MatchString(value) {
		return errors.New("the value of a header cannot be sent")
	}
	return nil
}

// HeadersSize is what counts toward MaxHeadersBytes.
func HeadersSize(headers map[string]string) (bytes int) {
	for name, value := range headers {
		bytes += len(name) + len(value)
	}
	return bytes
}

func checkHeaders(headers map[string]string) error {
	if len(headers) > MaxHeaders {
		return fmt.Errorf("headers must be at most %d", MaxHeaders)
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		canonical := http.CanonicalHeaderKey(name)
		if err := CheckHeaderName(name); err != nil {
			return err
		}
		if CheckHeaderValue(headers[name]) != nil {
			return fmt.Errorf("the value of header %.60q cannot be sent", name)
		}
		if seen[canonical] {
			return fmt.Errorf("header %.60q is there twice", name)
		}
		seen[canonical] = true
	}
	if HeadersSize(headers) > MaxHeadersBytes {
		return fmt.Errorf("headers must have at most %d bytes together", MaxHeadersBytes)
	}
	return nil
}
