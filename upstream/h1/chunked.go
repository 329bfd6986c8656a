package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// maxChunkLine bounds the line before a chunk, with its extensions, in bytes.
const maxChunkLine = 1 << 10

// maxTrailer bounds the fields after the last chunk, in bytes.
const maxTrailer = 8 << 10

// chunked reads chunks (RFC 9112, 7.1) by the letter. Extensions are dropped, as anybody may.
type chunked struct {
	left    int64 // of the chunk
	begun   bool  // some chunk has been read, and the line end behind it has not
	trailer http.Header
}

// read gives io.EOF behind the last chunk and its trailer.
func (c *chunked) read(from *bufio.Reader, p []byte) (n int, err error) {
	if c.left == 0 {
		if err := c.next(from); err != nil {
			return 0, err
		}
	}
	n, err = from.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, unexpected(err)
}

// next begins a chunk.
func (c *chunked) next(from *bufio.Reader) error {
	if c.begun {
		if err := expectLineEnd(from); err != nil {
			return err
		}
	}
	line, err := from.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > maxChunkLine:
		return nonsense("the line before a chunk has more than %d bytes", maxChunkLine)
	case err != nil:
		return unexpected(err)
	}
	if c.left, err = parseChunkLine(line); err != nil {
		return err
	}
	if c.begun = true; c.left > 0 {
		return nil
	}
	text, err := readLines(from, nil, maxTrailer)
	if err != nil {
		return err
	}
	if c.trailer, err = parseFields(string(text)); err != nil {
		return err
	}
	return io.EOF
}

func expectLineEnd(from *bufio.Reader) error {
	var end [2]byte
	if _, err := io.ReadFull(from, end[:]); err != nil {
		return unexpected(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return nonsense("no line end stands behind a chunk")
	}
	return nil
}

// parseChunkLine reads a size in up to 15 hexadecimal digits, and what may stand behind it.
func parseChunkLine(line []byte) (int64, error) {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	size, extensions, _ := bytes.Cut(text, []byte(";"))
	n, err := strconv.ParseUint(string(size), 16, 60)
	if !ok || err != nil || !isHex(size) || !isText(string(extensions)) {
		return 0, nonsense("the line before a chunk is none")
	}
	return int64(n), nil
}

func isHex(s []byte) bool { return len(s) > 0 && len(bytes.Trim(s, "0123456789abcdefABCDEF")) == 0 }
