// Package subscription holds what a webhook subscribes to, and the rules for it: those of the configuration and of the
// commands alike.
package subscription

import (
	"net/url"
	"slices"
	"strings"
)

// Action is what happened, in ACR's words. Replicated is ours: every region has the content.
type Action string

// All actions. A ping is only ever sent on request.
const (
	Push        Action = "push"
	Delete      Action = "delete"
	ChartPush   Action = "chart_push"
	ChartDelete Action = "chart_delete"
	Replicated  Action = "replicated"
	Ping        Action = "ping"
)

// Actions are those that a subscription may name.
func Actions() []Action { return []Action{Push, Delete, ChartPush, ChartDelete, Replicated} }

// Status says whether a subscription is served.
type Status string

// What is queued for a disabled subscription waits; what happens meanwhile is not queued for it.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
)

// Subscription is who wants to be told of what. The names in JSON are ACR's, save secret and inFile; those in YAML are
// the configuration's.
type Subscription struct {
	Name          string            `json:"name" yaml:"name"`
	Location      string            `json:"location" yaml:"location"` // a region; empty: all
	Actions       []Action          `json:"actions" yaml:"actions"`
	ServiceURI    string            `json:"serviceUri" yaml:"uri"`
	CustomHeaders map[string]string `json:"customHeaders" yaml:"headers"`
	Scope         string            `json:"scope" yaml:"scope"`
	Status        Status            `json:"status" yaml:"status"`
	Secret        string            `json:"secret,omitempty" yaml:"secret"` // signs; empty: not signed
	InFile        bool              `json:"inFile" yaml:"-"`                // the file's; commands cannot change it
}

// Mask stands in the place of what is secret.
const Mask = "*****"

// Masked is a subscription as it may be shown.
func (s Subscription) Masked() Subscription {
	s.Actions = slices.Clone(s.Actions)
	s.ServiceURI = MaskURI(s.ServiceURI)
	s.CustomHeaders = MaskHeaders(s.CustomHeaders)
	if s.Secret != "" {
		s.Secret = Mask
	}
	return s
}

// MaskURI leaves the host: with many receivers the path or the query is all that it takes to send them something.
func MaskURI(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return Mask
	}
	shown := u.Scheme + "://" + u.Host
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		shown += "/" + Mask
	}
	return shown
}

// leastSecret is how many bytes of a text may be a secret: fewer stand in any other text as well.
const leastSecret = 4

// MaskText takes out of a text what is secret of a subscription: some receivers answer with what they were sent.
func (s Subscription) MaskText(text string) string {
	secrets := []string{s.Secret}
	for name, value := range s.CustomHeaders {
		if isSecretHeader(name) {
			_, credentials, _ := strings.Cut(value, " ") // behind the scheme
			secrets = append(secrets, value, credentials)
		}
	}
	if u, err := url.Parse(s.ServiceURI); err == nil {
		secrets = append(secrets, u.RequestURI(), u.Path, u.RawQuery)
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may stand in another
	for _, secret := range secrets {
		if len(secret) >= leastSecret {
			text = strings.ReplaceAll(text, secret, Mask)
		}
	}
	return text
}

// MaskHeaders leaves the values of headers whose names do not say that they are secret.
func MaskHeaders(headers map[string]string) map[string]string {
	out := make(map[string]string, len(headers))
	for name, value := range headers {
		if isSecretHeader(name) {
			value = Mask
		}
		out[name] = value
	}
	return out
}

func isSecretHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "cookie", "key", "password", "secret", "token"},
		func(word string) bool {
			return strings.Contains(name, word)
		})
}
