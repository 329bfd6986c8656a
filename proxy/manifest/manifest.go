// Package manifest reads what a manifest needs to be whole. It decides nothing and reaches nothing.
package manifest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// MaxSize is how large a manifest may be, in bytes: what registries must take (OCI distribution spec 1.1, "Pushing
// Manifests"), and most take no more.
const MaxSize = 4 << 20

// maxNeeds bounds what one manifest may call for; docker runs no image of more than 127 layers, and the largest
// indexes known have some hundreds of children.
const maxNeeds = 4096

// Part is something that a manifest names by its digest.
type Part struct {
	Digest   string
	Manifest bool // a manifest, else a blob
	// Optional: whether it has to be there is for the registry to say. Indexes may be sparse.
	Optional bool
}

// Needs lists what a manifest names, each digest once, in its order. A subject is none of it: registries accept
// referrers before what they refer to. Of what is no manifest that this package knows, nothing is needed.
func Needs(body []byte) []Part {
	var doc document
	if len(body) > MaxSize || json.Unmarshal(body, &doc) != nil || doc.SchemaVersion == 1 {
		return nil
	}
	var parts []Part
	known := map[string]bool{}
	add := func(p Part) {
		if len(parts) < maxNeeds && validDigest(p.Digest) && !known[p.Digest] {
			parts, known[p.Digest] = append(parts, p), true
		}
	}
	if doc.Config != nil {
		add(doc.Config.blob())
	}
	for _, d := range slices.Concat(doc.Layers, doc.Blobs) {
		if !d.elsewhere() {
			add(d.blob())
		}
	}
	for _, d := range doc.Manifests {
		add(Part{Digest: d.Digest, Manifest: !isBlob(d.MediaType), Optional: true})
	}
	return parts
}

// document is what OCI images, indexes and artifacts and docker's schema 2 have in common.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Blobs         []descriptor `json:"blobs"` // of the artifact manifest that OCI 1.1 dropped before its release
	Manifests     []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Data      []byte `json:"data"`
}

// blob: content that the descriptor carries itself (image spec, "Embedded Content") need not be pushed.
func (d descriptor) blob() Part { return Part{Digest: d.Digest, Optional: len(d.Data) > 0} }

// elsewhere: layers that must not be pushed, and are fetched from the URLs in their descriptors.
func (d descriptor) elsewhere() bool {
	return strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign.")
}

// isBlob: BuildKit puts the layers of a build cache into an index.
func isBlob(mediaType string) bool {
	return strings.Contains(mediaType, ".layer.") || strings.Contains(mediaType, ".rootfs.") || strings.Contains(mediaType, ".config.") ||
		strings.Contains(mediaType, ".buildkit.cacheconfig.")
}

// A digest as the image spec has it ("Digests"). It goes into a path.
var digest = regexp.MustCompile(`^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,256}$`)

func validDigest(s string) bool { return digest.MatchString(s) }
