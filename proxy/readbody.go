package proxy

import (
	"bytes"
	"io"
	"net/http"
)

// maxShort is more than registries say about what they do not have, in bytes.
const maxShort = 4 << 10

// readShort takes in a short answer that may not be the one, so that its connection can be used again rather than
// closed. A long one is left alone.
func readShort(response *http.Response) (text []byte, complete bool, err error) {
	return readUpTo(response, maxShort)
}

// readUpTo takes an answer in that has at most so many bytes.
func readUpTo(response *http.Response, most int64) (text []byte, complete bool, err error) {
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
	rest, complete := response.Body, int64(len(text)) <= most
	if complete {
		rest.Close()
		rest = http.NoBody
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), rest}
	return text, complete, nil
}

// sizeOf is how large a body can be that is read to so many bytes at most.
func sizeOf(contentLength, most int64) int64 {
	if contentLength < 0 {
		return most
	}
	return min(contentLength, most)
}

// heldOf is how much of an answer is held that is read to so many bytes at most, and decompressed to unpacked ones.
func heldOf(response *http.Response, most, unpacked int64) int64 {
	switch {
	case response.ContentLength > most:
		return 0
	case response.Header.Get("Content-Encoding") != "":
		return most + unpacked
	}
	return sizeOf(response.ContentLength, most)
}

// readAll reads at most so many bytes, and one more to tell that there are more, into no more memory than they need.
func readAll(body io.Reader, contentLength, most int64) ([]byte, error) {
	if contentLength < 0 {
		return io.ReadAll(io.LimitReader(body, most+1))
	}
	content := make([]byte, min(contentLength, most+1))
	n, err := io.ReadFull(body, content)
	return content[:n], err
}

// heldBody gives room back when it is closed.
type heldBody struct {
	io.Reader
	io.Closer
	done func()
}

func (b heldBody) Close() error {
	defer b.done()
	return b.Closer.Close()
}
