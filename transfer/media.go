package transfer

import (
	"encoding/json"
	"mime"
	"slices"
	"strings"
)

// Media types of manifests.
const (
	typeIndex          = "application/vnd.oci.image.index.v1+json"
	typeManifest       = "application/vnd.oci.image.manifest.v1+json"
	typeArtifact       = "application/vnd.oci.artifact.manifest.v1+json"
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeSchema1        = "application/vnd.docker.distribution.manifest.v1+json"
	typeSigned         = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

var manifestTypes = []string{
	typeIndex, typeManifest, typeArtifact, typeDockerList, typeDockerManifest, typeSchema1, typeSigned,
}

// ManifestType is the media type that a manifest is to be put with (OCI distribution spec 1.1, "Pushing Manifests"):
// its own word, if that is one of those which everybody knows, since registries compare; else the first that was said
// of it and means something, as its client or a registry did; else what it looks like. Some registries call every
// manifest application/json, or add a charset: no copy may bear that, and strict ones refuse it.
func ManifestType(body []byte, said ...string) string {
	var doc form
	_ = json.Unmarshal(body, &doc) // then it looks like nothing
	own := mediaType(doc.MediaType)
	if slices.Contains(manifestTypes, own) {
		return own
	}
	for _, text := range append(said, own, doc.looksLike()) {
		if t := mediaType(text); specific(t) {
			return t
		}
	}
	for _, text := range said {
		if t := mediaType(text); t != "" {
			return t
		}
	}
	return typeManifest
}

// specific reports whether a media type can be that of a manifest. All of those are in the vendors' tree; anything else
// is what a server says of any JSON.
func specific(mediaType string) bool { return strings.HasPrefix(mediaType, "application/vnd.") }

// mediaType returns a media type without its parameters.
func mediaType(text string) string {
	t, _, err := mime.ParseMediaType(text)
	if err != nil && t == "" {
		before, _, _ := strings.Cut(text, ";")
		return strings.ToLower(strings.TrimSpace(before))
	}
	return t
}

// form has the fields that tell apart manifests without a media type.
type form struct {
	MediaType     string          `json:"mediaType"`
	SchemaVersion json.RawMessage `json:"schemaVersion"`
	Config        json.RawMessage `json:"config"`
	Layers        json.RawMessage `json:"layers"`
	Manifests     json.RawMessage `json:"manifests"`
	Signatures    json.RawMessage `json:"signatures"`
}

// looksLike returns the media type that the fields suggest. It is never docker's schema 2, which always says what it
// is.
func (f form) looksLike() string {
	switch {
	case string(f.SchemaVersion) == "1" && f.Signatures != nil:
		return typeSigned
	case string(f.SchemaVersion) == "1":
		return typeSchema1
	case f.Manifests != nil:
		return typeIndex
	case f.Config != nil || f.Layers != nil:
		return typeManifest
	}
	return ""
}
