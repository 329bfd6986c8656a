package configs

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Values of Webhook.Status.
const (
	WebhookEnabled  = "enabled"
	WebhookDisabled = "disabled"
)

// Bounds of a webhook; of headers, of all names and values together.
const (
	maxWebhooks     = 500
	maxURI          = 2048
	minSecret       = 16
	maxSecret       = 256
	maxHeaders      = 32
	maxHeadersBytes = 8 << 10
)

var webhookActions = []string{"push", "delete", "chart_push", "chart_delete", "replicated"}

func (d *decoder) webhooks(to *[]Webhook) field {
	return d.list(
		func(int) { *to = nil },
		func(path string, n *yaml.Node) {
			w := Webhook{Status: WebhookEnabled}
			d.mapping(path, n, fields{
				"name":     parsed(d, &w.Name, webhookName),
				"location": parsed(d, &w.Location, anyText),
				"actions":  listOf(d, &w.Actions, oneOf(webhookActions...)),
				"scope":    parsed(d, &w.Scope, webhookScope),
				"uri":      d.unshown(parsed(d, &w.URI, webhookURI)), // with many receivers it is all that it takes
				"headers":  d.headers(&w.Headers),
				"secret":   d.unshown(parsed(d, &w.Secret, webhookSecret)),
				"status":   parsed(d, &w.Status, oneOf(WebhookEnabled, WebhookDisabled)),
			})
			*to = append(*to, w)
		})
}

// unshown takes a value that no problem may repeat.
func (d *decoder) unshown(take field) field {
	return func(path string, n *yaml.Node) {
		d.written[path] = written{line: d.written[path].line}
		take(path, n)
	}
}

// headers takes a mapping of names that nobody knows beforehand.
func (d *decoder) headers(to *map[string]string) field {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			d.mapping(path, n, nil) // which says so
			return
		}
		*to = map[string]string{}
		known := fields{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			known[name] = d.unshown(func(path string, n *yaml.Node) {
				var value string
				parsed(d, &value, headerValue)(path, n)
				(*to)[name] = value
			})
		}
		d.mapping(path, n, known)
	}
}

var (
	webhookNames = regexp.MustCompile(`^[a-zA-Z0-9]{5,50}$`)
	headerNames  = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$")
	headerValues = regexp.MustCompile(`^[\t\x20-\x7e\x80-\x{10ffff}]*$`)
	scopes       = regexp.MustCompile(`^([a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*)(?::(?:\*|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?$`)
)

func webhookName(s string) (string, string) {
	if !webhookNames.MatchString(s) {
		return "", ruleWebhookName
	}
	return s, ""
}

func webhookScope(s string) (string, string) {
	if repository, _, _ := strings.Cut(s, ":"); s != "" && (len(repository) > 255 || !scopes.MatchString(s)) {
		return "", ruleScope
	}
	return s, ""
}

func webhookSecret(s string) (string, string) {
	if s != "" && (len(s) < minSecret || len(s) > maxSecret) {
		return "", ruleSecret
	}
	return s, ""
}

func headerValue(s string) (string, string) {
	if !headerValues.MatchString(s) {
		return "", ruleHeaderValue
	}
	return s, ""
}

// webhookURI takes where to send to. A user or password belongs into the header Authorization, which is never shown.
func webhookURI(s string) (string, string) {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxURI || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" ||
		strings.ContainsAny(u.Host, " \t%") || u.User != nil || u.Fragment != "" {
		return "", ruleURI
	}
	if _, ok := portNumber(u.Port()); !ok && (u.Port() != "" || strings.HasSuffix(u.Host, ":")) {
		return "", rulePort
	}
	return s, ""
}

// notForWebhooks are headers that say how a request is sent.
var notForWebhooks = []string{"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func (d *decoder) checkWebhooks(c *Config) {
	d.count("webhooks", len(c.Webhooks), 0, maxWebhooks)
	first := map[string]string{}
	for i, w := range c.Webhooks {
		path := item("webhooks", i)
		d.required(path, "name", "actions", "uri")
		if w.Name != "" {
			distinct(d, first, strings.ToLower(w.Name), path+".name")
		}
		if _, given := d.written[path+".actions"]; given {
			d.count(path+".actions", len(w.Actions), 1, len(webhookActions))
		}
		actions := map[string]string{}
		for j, a := range w.Actions {
			distinct(d, actions, a, item(path+".actions", j))
		}
		d.checkReplicaName(c, path+".location", w.Location)
		d.checkHeaders(path+".headers", w.Headers)
	}
}

func (d *decoder) checkHeaders(path string, headers map[string]string) {
	d.count(path, len(headers), 0, maxHeaders)
	first, size := map[string]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		size += len(name) + len(headers[name])
		at, canonical := join(path, name), http.CanonicalHeaderKey(name)
		if !headerNames.MatchString(name) || slices.Contains(notForWebhooks, canonical) || strings.HasPrefix(canonical, "Fairlead-") {
			d.problem(at, ruleHeaderName)
			continue
		}
		distinct(d, first, canonical, at)
	}
	if size > maxHeadersBytes {
		d.problem(path, fmt.Sprintf(ruleHeadersSize, maxHeadersBytes))
	}
}
