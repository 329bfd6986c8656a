// Package manifest reads what a manifest needs to be complete, and keeps track of what a copy has seen of an image. It
// decides nothing and reaches nothing.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-gateway/fairlead/oci"
)

// maxNeeds bounds how many descriptors one manifest may have. Docker runs no image of more than 127 layers, and the
// largest indexes known have some hundreds of children.
const maxNeeds = 4096

// Descriptor is something that a manifest names by its digest (OCI image spec 1.1, "Content Descriptors").
type Descriptor struct {
	Digest   string
	Manifest bool // a manifest, else a blob
	// Optional means that the registry decides whether it has to be there: indexes may be sparse.
	Optional bool
	Size     int64 // in bytes, as the manifest says
}

// ErrTooMany means that a manifest has more descriptors than are followed.
var ErrTooMany = errors.New("a manifest may name 4096 parts")

// Needs lists what an image's manifest or an index names (OCI image spec 1.1, "Image Manifest", "Image Index"), each
// digest once, in its order. The subject is left out: registries accept referrers before what they refer to. A body
// that is no known manifest needs nothing. The caller bounds the size of the body. The only error is ErrTooMany.
func Needs(body []byte) ([]Descriptor, error) {
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil || doc.SchemaVersion == 1 {
		if errors.Is(err, ErrTooMany) {
			return nil, ErrTooMany
		}
		return nil, nil
	}
	var descriptors []Descriptor
	known := map[string]bool{}
	add := func(d Descriptor) {
		if isPushable(d.Digest) && !known[d.Digest] {
			descriptors, known[d.Digest] = append(descriptors, d), true
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
		add(Descriptor{Digest: d.Digest, Manifest: !isBlob(d.MediaType), Optional: true, Size: d.size()})
	}
	return descriptors, nil
}

// ConfigType returns the media type of the config of a manifest (OCI image spec 1.1, "Image Manifest"). It tells what
// kind of artifact it is, such as an image or a chart.
func ConfigType(body []byte) string {
	var doc struct {
		Config struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return ""
	}
	return doc.Config.MediaType
}

// document is what OCI images, indexes and artifacts and docker's schema 2 have in common.
type document struct {
	SchemaVersion int            `json:"schemaVersion"`
	Config        *rawDescriptor `json:"config"`
	Layers        list           `json:"layers"`
	Blobs         list           `json:"blobs"` // of the artifact manifest that OCI 1.1 dropped before its release
	Manifests     list           `json:"manifests"`
}

// list stops at maxNeeds: a manifest of 4 MiB has room for a million empty descriptors, of 400 MiB when decoded.
type list []rawDescriptor

func (l *list) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return err // null is no list
	}
	for decoder.More() {
		var d rawDescriptor
		if err := decoder.Decode(&d); err != nil {
			return err
		}
		if len(*l) == maxNeeds {
			return ErrTooMany
		}
		*l = append(*l, d)
	}
	return nil
}

type rawDescriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Data      []byte `json:"data"`
	// Size is raw, since nobody relies on it: a strange one must not hide the rest.
	Size json.RawMessage `json:"size"`
}

// blob is the descriptor of a blob. Content that the descriptor carries itself (OCI image spec 1.1, "Embedded Content")
// need not be pushed.
func (d rawDescriptor) blob() Descriptor {
	return Descriptor{Digest: d.Digest, Optional: len(d.Data) > 0, Size: d.size()}
}

func (d rawDescriptor) size() int64 {
	n, err := strconv.ParseUint(string(d.Size), 10, 62)
	if err != nil {
		return 0
	}
	return int64(n)
}

// elsewhere reports whether a layer must not be pushed, but is fetched from the URLs in its descriptor.
func (d rawDescriptor) elsewhere() bool {
	return strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign.")
}

// isBlob reports whether a child of an index is a blob: BuildKit puts the layers of a build cache into an index.
func isBlob(mediaType string) bool {
	return strings.Contains(mediaType, ".layer.") || strings.Contains(mediaType, ".rootfs.") ||
		strings.Contains(mediaType, ".config.") || strings.Contains(mediaType, ".buildkit.cacheconfig.")
}

// isPushable reports whether content with this digest can have been pushed: one that is too short or too long is no
// digest. A digest whose algorithm is unknown counts, although it cannot be copied: it must not be taken for nothing.
func isPushable(digest string) bool {
	_, encoded, _ := strings.Cut(digest, ":")
	return oci.HasDigestForm(digest) && len(encoded) >= 32 && len(encoded) <= 256
}
