package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// maxShort is more than registries say about what they do not have, in bytes.
const maxShort = 4 << 10

// readShort takes in a short answer that may not be the one, so that its connection can be used again rather than closed. A long
// one is left alone.
func readShort(response *http.Response) (text []byte, whole bool, err error) {
	return readUpTo(response, maxShort)
}

// readUpTo takes an answer in that has at most so many bytes.
func readUpTo(response *http.Response, most int64) (text []byte, whole bool, err error) {
	if response.ContentLength > most {
		return nil, false, nil
	}
	length := response.ContentLength
	head := response.Request != nil && response.Request.Method == http.MethodHead
	if head || response.StatusCode == http.StatusNotModified {
		length = -1 // it is that of what is not sent
	}
	text, err = readAll(response.Body, length, most)
	if err != nil {
		return nil, false, err
	}
	rest, whole := response.Body, int64(len(text)) <= most
	if whole {
		rest.Close()
		rest = http.NoBody
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), rest}
	return text, whole, nil
}

// emptyIndex: a list of referrers with none in it, and no further page.
func emptyIndex(response *http.Response) (bool, error) {
	text, whole, err := readShort(response)
	if err != nil || !whole || response.Header.Get("Link") != "" {
		return false, err
	}
	var doc struct {
		Manifests []json.RawMessage `json:"manifests"`
	}
	text, ok := decompressed(response.Header, text, maxShort)
	return ok && json.Unmarshal(text, &doc) == nil && len(doc.Manifests) == 0, nil
}
