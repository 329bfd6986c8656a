package proxy

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// decompressed is what an answer's text says, of at most so many bytes, where it was compressed for a client that
// allows it. Where the gateway cannot read it, ok is false.
func decompressed(header http.Header, text []byte, most int64) (content []byte, ok bool) {
	switch strings.ToLower(strings.TrimSpace(strings.Join(header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return text, true
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			return nil, false
		}
		content, err = io.ReadAll(io.LimitReader(unpacked, most+1))
		return content, err == nil && int64(len(content)) <= most
	}
	return nil, false
}
