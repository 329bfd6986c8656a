package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	imageTag     = "v1"
)

// descriptor and document are as much of the OCI image spec's types as is needed here.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
}

// blobs are what a manifest needs beside it in its repository.
func (d document) blobs() []descriptor {
	if d.Config == nil {
		return nil
	}
	return append([]descriptor{*d.Config}, d.Layers...)
}

// image is an OCI layout on disk with one image in it, tagged imageTag.
type image struct {
	dir    string
	digest string // of its manifest
	doc    document
}

const (
	imageLayers = 6
	layerSize   = 100 << 10
)

// newImage makes an image of random content, so that no registry and no client has seen any part of it before.
func newImage(t testing.TB, architecture string) image {
	t.Helper()
	dir, err := os.MkdirTemp(buildDir, "image-") // podman takes the path for a name, and wants it in lower case
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	i := image{dir: dir}
	var layers []descriptor
	var diffIDs []string
	for n := range imageLayers {
		packed, diffID := newLayer(t, fmt.Sprintf("layer-%d", n))
		layers = append(layers, i.add(t, typeLayer, packed))
		diffIDs = append(diffIDs, diffID)
	}
	config := i.add(t, typeConfig, encode(t, map[string]any{
		"architecture": architecture, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}))
	i.doc = document{SchemaVersion: 2, MediaType: typeManifest, Config: &config, Layers: layers}
	manifest := i.add(t, typeManifest, encode(t, i.doc))
	i.digest = manifest.Digest
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": imageTag}
	writeFile(t, filepath.Join(i.dir, "oci-layout"), `{"imageLayoutVersion": "1.0.0"}`)
	writeFile(t, filepath.Join(i.dir, "index.json"),
		string(encode(t, document{SchemaVersion: 2, Manifests: []descriptor{manifest}})))
	return i
}

func newImages(t testing.TB, n int) []image {
	images := make([]image, n)
	for i := range images {
		images[i] = newImage(t, "amd64")
	}
	return images
}

// newLayer is a tar with one file of random bytes, and the digest of the tar before it was packed.
func newLayer(t testing.TB, file string) (packed []byte, diffID string) {
	t.Helper()
	var plain, zipped bytes.Buffer
	w := tar.NewWriter(&plain)
	must(t, w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: layerSize}))
	_, err := io.CopyN(w, rand.Reader, layerSize)
	must(t, err)
	must(t, w.Close())
	z, err := gzip.NewWriterLevel(&zipped, gzip.NoCompression)
	must(t, err)
	_, err = z.Write(plain.Bytes())
	must(t, err)
	must(t, z.Close())
	return zipped.Bytes(), digestOf(plain.Bytes())
}

func (i image) add(t testing.TB, mediaType string, content []byte) descriptor {
	t.Helper()
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
	dir := filepath.Join(i.dir, "blobs", "sha256")
	must(t, os.MkdirAll(dir, 0o700))
	writeFile(t, filepath.Join(dir, d.Digest[len("sha256:"):]), string(content))
	return d
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	must(t, err)
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get asks plainly and reads the whole answer.
func get(url string, header http.Header) (code int, body []byte, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header = header
	response, err := plain.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 64<<20))
	return response.StatusCode, body, err
}

// pulled gets an image as a client does, all of it, and returns the digest of its manifest.
func pulled(base, repository, reference string) (digest string, err error) {
	body, doc, err := getManifest(base, repository, reference)
	if err != nil {
		return "", err
	}
	for _, child := range doc.Manifests {
		if _, err := pulled(base, repository, child.Digest); err != nil {
			return "", err
		}
	}
	for _, blob := range doc.blobs() {
		if err := getBlob(base, repository, blob); err != nil {
			return "", err
		}
	}
	return digestOf(body), nil
}

func getManifest(base, repository, reference string) (body []byte, doc document, err error) {
	code, body, err := get(base+"/v2/"+repository+"/manifests/"+reference, manifestTypes)
	switch {
	case err != nil:
		return nil, doc, err
	case code == http.StatusNotFound:
		return nil, doc, errNotFound
	case code != http.StatusOK:
		return nil, doc, fmt.Errorf("GET manifest %s:%s: status %d: %s", repository, reference, code, body)
	}
	return body, doc, json.Unmarshal(body, &doc)
}

func getBlob(base, repository string, want descriptor) error {
	response, err := plain.Get(base + "/v2/" + repository + "/blobs/" + want.Digest)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content := sha256.New()
	size, err := io.Copy(content, io.LimitReader(response.Body, want.Size+1<<20))
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("blob %s: %w", want.Digest, errNotFound)
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("GET blob %s: status %d", want.Digest, response.StatusCode)
	case "sha256:"+hex.EncodeToString(content.Sum(nil)) != want.Digest:
		return fmt.Errorf("GET blob %s: other content, %d bytes of %d", want.Digest, size, want.Size)
	}
	return nil
}
