package configs

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

func (d *decoder) webhooks(to *[]subscription.Subscription) field {
	return d.list(
		func(int) { *to = nil },
		func(path string, n *yaml.Node) {
			w := subscription.Subscription{Status: subscription.Enabled}
			d.mapping(path, n, fields{
				"name":     parsed(d, &w.Name, webhookName),
				"location": parsed(d, &w.Location, anyText),
				"actions":  listOf(d, &w.Actions, oneOf(subscription.Actions()...)),
				"scope":    parsed(d, &w.Scope, webhookScope),
				"uri":      d.unshown(parsed(d, &w.ServiceURI, webhookURI)), // with many receivers it is all that it takes
				"headers":  d.headers(&w.CustomHeaders),
				"secret":   d.unshown(parsed(d, &w.Secret, webhookSecret)),
				"status":   parsed(d, &w.Status, oneOf(subscription.Enabled, subscription.Disabled)),
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

func webhookName(s string) (string, string) {
	if subscription.CheckName(s) != nil {
		return "", ruleWebhookName
	}
	return s, ""
}

func webhookScope(s string) (string, string) {
	if _, err := subscription.ParseScope(s); err != nil {
		return "", ruleScope
	}
	return s, ""
}

func webhookSecret(s string) (string, string) {
	if subscription.CheckSecret(s) != nil {
		return "", ruleSecret
	}
	return s, ""
}

func headerValue(s string) (string, string) {
	if !subscription.IsHeaderValue(s) {
		return "", ruleHeaderValue
	}
	return s, ""
}

// webhookURI takes where to send to. A user or password belongs into the header Authorization, which is never shown.
func webhookURI(s string) (string, string) {
	switch err := subscription.CheckURI(s); {
	case errors.Is(err, subscription.ErrPort):
		return "", rulePort
	case err != nil:
		return "", ruleURI
	}
	return s, ""
}

func (d *decoder) checkWebhooks(c *Config) {
	d.count("webhooks", len(c.Webhooks), 0, subscription.MaxSubscriptions)
	first := map[string]string{}
	for i, w := range c.Webhooks {
		path := item("webhooks", i)
		d.required(path, "name", "actions", "uri")
		if w.Name != "" {
			distinct(d, first, strings.ToLower(w.Name), path+".name")
		}
		if _, given := d.written[path+".actions"]; given {
			d.count(path+".actions", len(w.Actions), 1, len(subscription.Actions()))
		}
		actions := map[subscription.Action]string{}
		for j, a := range w.Actions {
			distinct(d, actions, a, item(path+".actions", j))
		}
		d.checkReplicaName(c, path+".location", w.Location)
		d.checkHeaders(path+".headers", w.CustomHeaders)
	}
}

func (d *decoder) checkHeaders(path string, headers map[string]string) {
	d.count(path, len(headers), 0, subscription.MaxHeaders)
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if subscription.CheckHeaderName(name) != nil {
			d.problem(join(path, name), ruleHeaderName)
			continue
		}
		distinct(d, first, http.CanonicalHeaderKey(name), join(path, name))
	}
	if subscription.HeadersSize(headers) > subscription.MaxHeadersBytes {
		d.problem(path, fmt.Sprintf(ruleHeadersSize, subscription.MaxHeadersBytes))
	}
}
