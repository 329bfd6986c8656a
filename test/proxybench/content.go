package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
)

const (
	hostname   = "registry.example.test"
	repository = "bench/app"
	tag        = "v1"

	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// content is what the backend has: one blob, and a manifest.
type content struct {
	blob           []byte
	blobDigest     string
	manifest       []byte
	manifestDigest string
}

func newContent(size int) content {
	blob := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(blob) // the same in every run
	c := content{blob: blob, blobDigest: digestOf(blob)}
	c.manifest = manifestOf(c.blobDigest, size)
	c.manifestDigest = digestOf(c.manifest)
	return c
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
