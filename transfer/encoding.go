package transfer

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

// encoding is how an answer is encoded although we asked that it be not (RFC 9110, "Content-Encoding"); "" for what clients do
// not take either.
func encoding(header http.Header) string {
	switch e := strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))); e {
	case "gzip", "x-gzip":
		return "gzip"
	case "deflate":
		return e
	}
	return ""
}

// decoded is a body without its encoding. What is said to have one and has none is left as it is.
func decoded(encoding string, body io.Reader) (io.Reader, error) {
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

var errTooLarge = errors.New("it is larger than what is read of such")

// ReadBody reads an answer of at most so many bytes, as they are when decoded: some give answers an encoding unasked.
func ReadBody(response *http.Response, most int64) ([]byte, error) {
	plain, err := decoded(encoding(response.Header), response.Body)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(plain, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > most:
		return nil, errTooLarge
	}
	return body, nil
}
