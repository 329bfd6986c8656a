package oci

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"testing"
)

// FuzzDecoded: what was encoded comes back, and what was not does not panic.
func FuzzDecoded(f *testing.F) {
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Add([]byte{0x78, 0x9c})
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, encoding := range []string{"gzip", "deflate", ""} {
			if plain, err := Decoded(encoding, bytes.NewReader(content)); err == nil {
				io.Copy(io.Discard, io.LimitReader(plain, 1<<20))
			}
			sent := content
			if encoding != "" {
				sent = packed(encoding, content)
			}
			plain, err := Decoded(encoding, bytes.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %q, %v", encoding, got, err)
			}
		}
	})
}

func packed(encoding string, content []byte) []byte {
	var b bytes.Buffer
	w := io.WriteCloser(gzip.NewWriter(&b))
	if encoding == "deflate" {
		w = zlib.NewWriter(&b)
	}
	w.Write(content)
	w.Close()
	return b.Bytes()
}
