package main

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
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

const (
	layers       = 7        // of an image that is pushed
	smallest     = 64 << 10 // bytes of a layer, unless a cell has it otherwise
	largest      = 200 << 10
	imageTag     = "1.0.0" // charts insist on such versions
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// image is random content, made for one push, so that no registry and no client has seen any part of it before. Its
// directory is at once an OCI layout and what `docker save` packs; archive is the same as one file.
type image struct {
	dir, archive string
	repository   string
	files        [][]byte       // what the layers are made of
	forms        [][]descriptor // of each layer: its file, and its blob
}

// ref is where it is to be pushed.
func (i image) ref() string { return authority + "/" + i.repository + ":" + imageTag }

// descriptor and document are as much of the OCI image spec's types as is needed here.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (d descriptor) path() string { return "blobs/sha256/" + d.Digest[len("sha256:"):] }

type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
}

// layerSizes are those of an image that is pushed; each is 0 for as large as it comes.
func layerSizes(each int) []int {
	sizes := slices.Repeat([]int{each}, layers)
	for n := range sizes {
		if each == 0 {
			sizes[n] = smallest + mathrand.IntN(largest-smallest)
		}
	}
	return sizes
}

// size is how many bytes its files have, which are packed without getting smaller.
func (i image) size() int {
	sum := 0
	for _, file := range i.files {
		sum += len(file)
	}
	return sum
}

func newImage(dir, repository string, sizes []int) (image, error) {
	i := image{dir: filepath.Join(dir, "layout"), archive: filepath.Join(dir, "image.tar"), repository: repository}
	if err := os.MkdirAll(filepath.Join(i.dir, "blobs", "sha256"), 0o700); err != nil {
		return i, err
	}
	var packed []descriptor
	var plain, paths []string // digests of the layers before they are packed; files of the packed ones
	for n, size := range sizes {
		file := make([]byte, size)
		_, _ = rand.Read(file) // never fails
		i.files = append(i.files, file)
		unpacked, err := tarOf(fmt.Sprintf("file-%d", n), file)
		if err != nil {
			return i, err
		}
		layer, err := i.add(typeLayer, zip(unpacked))
		if err != nil {
			return i, err
		}
		i.forms = append(i.forms, []descriptor{{Digest: digestOf(file), Size: size}, layer})
		packed, plain, paths = append(packed, layer), append(plain, digestOf(unpacked)), append(paths, layer.path())
	}
	config, err := i.addJSON(typeConfig, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": plain},
	})
	if err != nil {
		return i, err
	}
	manifest, err := i.addJSON(typeManifest, document{SchemaVersion: 2, MediaType: typeManifest, Config: &config,
		Layers: packed})
	if err != nil {
		return i, err
	}
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": imageTag,
		"io.containerd.image.name": i.ref()}
	for name, content := range map[string]any{
		"oci-layout":    map[string]string{"imageLayoutVersion": "1.0.0"},
		"index.json":    document{SchemaVersion: 2, Manifests: []descriptor{manifest}},
		"manifest.json": []any{map[string]any{"Config": config.path(), "RepoTags": []string{i.ref()}, "Layers": paths}},
	} {
		if err := writeJSON(filepath.Join(i.dir, name), content); err != nil {
			return i, err
		}
	}
	return i, i.pack()
}

func (i image) addJSON(mediaType string, v any) (descriptor, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	return i.add(mediaType, content)
}

func (i image) add(mediaType string, content []byte) (descriptor, error) {
	d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: len(content)}
	return d, os.WriteFile(filepath.Join(i.dir, d.path()), content, 0o600)
}

// pack makes the archive.
func (i image) pack() error {
	f, err := os.Create(i.archive)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(i.dir)); err != nil {
		return err
	}
	return w.Close()
}

func writeJSON(file string, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

// tarOf has one file in it.
func tarOf(name string, content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close() // which writes the end
	return b.Bytes(), err
}

// zip does not try to make random bytes smaller.
func zip(content []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = io.Copy(z, bytes.NewReader(content)) // a Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
