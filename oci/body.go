package oci

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Encoding returns how an answer is encoded (RFC 9110, "Content-Encoding"); some answers are although nobody asked for
// it. It returns "" for an encoding that clients do not take either.
func Encoding(header http.Header) string {
	switch e := strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))); e {
	case "gzip", "x-gzip":
		return "gzip"
	case "deflate":
		return e
	}
	return ""
}

// Decoded returns a body without its encoding. A body that is said to be encoded and is not stays as it is.
func Decoded(encoding string, body io.Reader) (io.Reader, error) {
	if encoding == "" {
		return body, nil
	}
	b := bufio.NewReader(body)
	begin, err := b.Peek(2)
	if err != nil {
		return b, nil //nolint:nilerr // whoever reads meets it again
	}
	switch isZlib := begin[0]&0x0f == 8 && (uint(begin[0])<<8|uint(begin[1]))%31 == 0; {
	case encoding == "gzip" && begin[0] == 0x1f && begin[1] == 0x8b:
		return gzip.NewReader(b)
	case encoding == "deflate" && isZlib:
		return zlib.NewReader(b)
	case encoding == "deflate" && begin[0] != '{': // some leave out zlib's wrapper; no JSON begins so when compressed
		return flate.NewReader(b), nil
	}
	return b, nil
}

// ErrTooLarge means that a body is longer than its reader takes.
var ErrTooLarge = errors.New("it is larger than what is read of such")

// ReadBody reads the body of an answer, decoded. It fails with ErrTooLarge if the decoded body has more than most
// bytes.
func ReadBody(response *http.Response, most int64) ([]byte, error) {
	plain, err := Decoded(Encoding(response.Header), response.Body)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(plain, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > most:
		return nil, ErrTooLarge
	}
	return body, nil
}
