package webhook

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// payload has ACR's fields in ACR's order; which of them are there depends on the action.
// https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference
type payload struct {
	ID        string              `json:"id"`
	Timestamp string              `json:"timestamp"`
	Action    subscription.Action `json:"action"`
	Target    any                 `json:"target,omitempty"`
	Request   *payloadRequest     `json:"request,omitempty"`
}

type pushTarget struct {
	MediaType  string `json:"mediaType"`
	Size       int64  `json:"size"`
	Digest     string `json:"digest"`
	Length     int64  `json:"length"`
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
}

type deleteTarget struct {
	MediaType  string `json:"mediaType"`
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
}

type chartTarget struct {
	MediaType  string `json:"mediaType"`
	Size       int64  `json:"size"`
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty"`
	Name       string `json:"name"`
	Version    string `json:"version,omitempty"`
}

type payloadRequest struct {
	ID        string `json:"id"`
	Host      string `json:"host"`
	Method    string `json:"method"`
	UserAgent string `json:"useragent"`
}

// payloadOf is the body that is sent for an event.
func payloadOf(e Event) ([]byte, error) {
	p := payload{ID: e.ID, Timestamp: e.Time.UTC().Format(time.RFC3339Nano), Action: e.Action}
	t := e.Target
	switch e.Action {
	case subscription.Ping:
	case subscription.Delete:
		p.Target = deleteTarget{t.MediaType, t.Digest, t.Repository}
	case subscription.ChartPush, subscription.ChartDelete:
		p.Target = chartTarget{t.MediaType, t.Size, t.Digest, t.Repository, t.Tag, path.Base(t.Repository),
			chartVersion(t.Tag)}
	case subscription.Push, subscription.Replicated:
		p.Target = pushTarget{t.MediaType, t.Size, t.Digest, t.Size, t.Repository, t.Tag}
	}
	if e.Action == subscription.Push || e.Action == subscription.Delete || e.Action == subscription.Replicated {
		r := e.Request
		p.Request = &payloadRequest{clip(r.ID), clip(r.Host), clip(r.Method), clip(r.UserAgent)}
	}
	return encode(p)
}

// chartVersion is the version that a tag stands for. A version may have a plus sign and a tag may not, so Helm pushes
// it with an underscore.
func chartVersion(tag string) string { return strings.ReplaceAll(tag, "_", "+") }

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxClientField)], "") }

// encode is JSON for no browser: user agents have < and &, and a raw message must stay as it is.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
