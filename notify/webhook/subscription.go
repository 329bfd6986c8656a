package webhook

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

// Status says whether a subscription is served.
type Status string

// What is queued for a disabled subscription waits; what happens meanwhile is not queued for it.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
)

// Subscription is who wants to be told of what. The names in JSON are ACR's, save secret and inFile.
type Subscription struct {
	Name          string            `json:"name"`
	Location      string            `json:"location"` // a region; empty: all
	ServiceURI    string            `json:"serviceUri"`
	CustomHeaders map[string]string `json:"customHeaders"`
	Actions       []Action          `json:"actions"`
	Scope         string            `json:"scope"`
	Status        Status            `json:"status"`
	Secret        string            `json:"secret,omitempty"` // signs; empty: not signed
	InFile        bool              `json:"inFile"`           // the file's; commands cannot change it
}

// Bounds of a subscription.
const (
	maxURI          = 2048
	maxHeaders      = 32
	maxHeadersBytes = 8 << 10
	minSecret       = 16
	maxSecret       = 256
)

// ErrInvalid is a subscription that breaks a rule; the error says which, all of them at once.
var ErrInvalid = errors.New("invalid webhook")

var (
	nameForm        = regexp.MustCompile(`^[a-zA-Z0-9]{5,50}$`)
	headerNameForm  = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$")
	headerValueForm = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
)

// check says all that is wrong with a subscription where there are these regions.
func (s Subscription) check(regions []string) error {
	var errs []error
	if !nameForm.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("name %.60q must be 5 to 50 letters and digits", s.Name))
	}
	if s.Location != "" && !slices.Contains(regions, s.Location) {
		errs = append(errs, fmt.Errorf("location %.60q must be one of %v, or none for all of them", s.Location, regions))
	}
	errs = append(errs, checkURI(s.ServiceURI), checkActions(s.Actions), checkHeaders(s.CustomHeaders))
	if _, err := parseScope(s.Scope); err != nil {
		errs = append(errs, err)
	}
	if s.Status != Enabled && s.Status != Disabled {
		errs = append(errs, fmt.Errorf("status %.20q must be %s or %s", s.Status, Enabled, Disabled))
	}
	if s.Secret != "" && (len(s.Secret) < minSecret || len(s.Secret) > maxSecret) {
		errs = append(errs, fmt.Errorf("secret must have %d to %d bytes", minSecret, maxSecret))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func checkActions(actions []Action) error {
	if len(actions) == 0 {
		return errors.New("actions must name at least one")
	}
	seen := map[Action]bool{}
	for _, a := range actions {
		if !slices.Contains(subscribable, a) {
			return fmt.Errorf("action %.40q must be one of %v", a, subscribable)
		}
		if seen[a] {
			return fmt.Errorf("action %q is named twice", a)
		}
		seen[a] = true
	}
	return nil
}

// checkURI never quotes the whole address: with some receivers it is the secret.
func checkURI(uri string) error {
	if len(uri) > maxURI {
		return fmt.Errorf("uri must have at most %d bytes", maxURI)
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
			return errors.New("uri must have a port from 1 to 65535, or none")
		}
	}
	return nil
}

// ours are headers that say how the request is sent; a subscription has no say in that.
var ours = []string{"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func checkHeaders(headers map[string]string) error {
	if len(headers) > maxHeaders {
		return fmt.Errorf("headers must be at most %d", maxHeaders)
	}
	size := 0
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !headerNameForm.MatchString(name):
			return fmt.Errorf("header %.60q is no header's name", name)
		case !headerValueForm.MatchString(headers[name]):
			return fmt.Errorf("the value of header %.60q cannot be sent", name)
		case slices.Contains(ours, canonical) || strings.HasPrefix(canonical, "Fairlead-"):
			return fmt.Errorf("header %.60q is not for a webhook to set", name)
		case seen[canonical]:
			return fmt.Errorf("header %.60q is there twice", name)
		}
		seen[canonical] = true
		size += len(name) + len(headers[name])
	}
	if size > maxHeadersBytes {
		return fmt.Errorf("headers must have at most %d bytes together", maxHeadersBytes)
	}
	return nil
}

const mask = "*****"

// masked is a subscription as it may be shown.
func (s Subscription) masked() Subscription {
	s.Actions = slices.Clone(s.Actions)
	s.ServiceURI = maskedURI(s.ServiceURI)
	s.CustomHeaders = maskedHeaders(s.CustomHeaders)
	if s.Secret != "" {
		s.Secret = mask
	}
	return s
}

// maskedURI leaves the host: with many receivers the path or the query is all that it takes to send them something.
func maskedURI(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return mask
	}
	shown := u.Scheme + "://" + u.Host
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		shown += "/" + mask
	}
	return shown
}

func maskedHeaders(headers map[string]string) map[string]string {
	out := make(map[string]string, len(headers))
	for name, value := range headers {
		if secretHeader(name) {
			value = mask
		}
		out[name] = value
	}
	return out
}

// secretHeader: besides Authorization what its name gives away.
func secretHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "cookie", "key", "password", "secret", "token"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}
