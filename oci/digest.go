package oci

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// ErrDigest means that a text is no digest of an algorithm that registries share (OCI image spec 1.1, "Registered
// Algorithms").
var ErrDigest = errors.New("not a sha256 or sha512 digest")

// ParseDigest reads a digest (OCI image spec 1.1, "Digests"): it returns an empty hash, and what its sum must be.
func ParseDigest(digest string) (h hash.Hash, want []byte, err error) {
	algorithm, text, _ := strings.Cut(digest, ":")
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "sha512":
		h = sha512.New()
	default:
		return nil, nil, ErrDigest
	}
	want, err = hex.DecodeString(text)
	if err != nil || len(want) != h.Size() || text != strings.ToLower(text) {
		return nil, nil, ErrDigest
	}
	return h, want, nil
}

// IsDigest reports whether a text is a digest that can be verified (OCI image spec 1.1, "Registered Algorithms").
func IsDigest(digest string) bool {
	_, _, err := ParseDigest(digest)
	return err == nil
}

// Digest returns the digest of content, as a registry names what was pushed without a name: by its SHA-256 (OCI image
// spec 1.1, "SHA-256").
func Digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// Verifies reports whether a digest is that of the content (OCI image spec 1.1, "Verification").
func Verifies(content []byte, digest string) bool {
	h, want, err := ParseDigest(digest)
	if err != nil {
		return false
	}
	h.Write(content)
	return bytes.Equal(h.Sum(nil), want)
}
