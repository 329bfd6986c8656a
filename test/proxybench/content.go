package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"math/rand/v2"
	"sync/atomic"
)

const (
	hostname   = "registry.example.test"
	repository = "bench/app"
	tag        = "v1"

	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// content is what the backend has: one blob, as many variants of it as are asked for, and a manifest.
type content struct {
	blob           []byte
	blobDigest     string
	beginning      hash.Cloner // of all variants
	variants       *atomic.Int64
	manifest       []byte
	manifestDigest string
}

func newContent(size int) content {
	blob := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(blob) // the same in every run
	c := content{blob: blob, blobDigest: digestOf(blob), variants: new(atomic.Int64)}
	beginning := sha256.New()
	beginning.Write(blob[:max(size-variantBytes, 0)])
	c.beginning = beginning.(hash.Cloner)
	c.manifest = manifestOf(c.blobDigest, size)
	c.manifestDigest = digestOf(c.manifest)
	return c
}

// variantBytes are those at a blob's end that say which variant of it that is.
const variantBytes = 8

func (c content) variant(n int64) (digest string, end []byte, err error) {
	end = binary.BigEndian.AppendUint64(nil, uint64(n))
	whole, err := c.beginning.Clone()
	if err != nil {
		return "", nil, err
	}
	whole.Write(end)
	return "sha256:" + hex.EncodeToString(whole.Sum(nil)), end, nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int    `json:"size"`
	Digest    string `json:"digest"`
}

// manifestOf is an image of eight layers, some 1.5 kB, as images commonly have.
func manifestOf(blobDigest string, size int) []byte {
	const layers = 8
	m := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, manifestType, descriptor{"application/vnd.oci.image.config.v1+json", size, blobDigest}, nil}
	for range layers {
		m.Layers = append(m.Layers, descriptor{"application/vnd.oci.image.layer.v1.tar+gzip", size, blobDigest})
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // only for types that JSON does not have
	}
	return text
}

func blobPath(c content) string { return "/v2/" + repository + "/blobs/" + c.blobDigest }

func manifestPath(reference string) string { return "/v2/" + repository + "/manifests/" + reference }

const uploadsPath = "/v2/" + repository + "/blobs/uploads/"
