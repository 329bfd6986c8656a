package configs

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// headers takes a mapping of names that nobody knows beforehand.
func headers(d *decoder, path string, n *yaml.Node, to any) {
	values, known := map[string]string{}, fields{}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			known[name] = func(path string, n *yaml.Node) {
				var value string
				unshown(passes(subscription.CheckHeaderValue, ruleHeaderValue))(d, path, n, &value)
				values[name] = value
			}
		}
		*to.(*map[string]string) = values
	}
	d.mapping(path, n, known) // which refuses all else
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

func (d *decoder) checkActions(_ *Config, path string, actions []subscription.Action) {
	for i, a := range actions {
		d.distinct(item(path, i), path, a)
	}
}

func (d *decoder) checkHeaders(_ *Config, path string, headers map[string]string) {
	d.count(path, len(headers), 0, subscription.MaxHeaders)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if subscription.CheckHeaderName(name) != nil {
			d.problem(join(path, name), ruleHeaderName)
			continue
		}
		d.distinct(join(path, name), path, http.CanonicalHeaderKey(name))
	}
	if subscription.HeadersSize(headers) > subscription.MaxHeadersBytes {
		d.problem(path, fmt.Sprintf(ruleHeadersSize, subscription.MaxHeadersBytes))
	}
}
