package oci

import (
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"
)

func TestVerifies(t *testing.T) {
	content := []byte("{}")
	for digest, want := range map[string]bool{
		Digest(content): true,
		fmt.Sprintf("sha512:%x", sha512.Sum512(content)):                            true,
		Digest([]byte("[]")):                                                        false,
		strings.ToUpper(Digest(content)):                                            false,
		"sha256:" + strings.ToUpper(strings.TrimPrefix(Digest(content), "sha256:")): false,
		`"` + Digest(content) + `"`:                                                 false,
		strings.TrimPrefix(Digest(content), "sha256:"):                              false,
		"sha512:" + strings.TrimPrefix(Digest(content), "sha256:"):                  false,
		"": false, "sha256:": false, "md5:99914b932bd37a50b983c5e7c90ae93b": false,
	} {
		if Verifies(content, digest) != want {
			t.Errorf("%q: want %v", digest, want)
		}
		if want && !IsDigest(digest) {
			t.Errorf("%q is no digest", digest)
		}
	}
}
