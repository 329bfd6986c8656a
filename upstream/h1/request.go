package h1

import (
	"cmp"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// errBodyLong is a body that has more than its length: the rest would be the next request.
var errBodyLong = errors.New("the request's body is longer than its length")

var errBadRequest = errors.New("the request has a character that none may have")

// appendHead writes a request's line and fields. What says how its body ends, and what belongs to the connection, is
// written by the letter of what is sent, whatever the fields say.
func appendHead(to []byte, r *http.Request, body *outgoing) ([]byte, error) {
	uri, host := r.URL.RequestURI(), cmp.Or(r.Host, r.URL.Host)
	if !isToken(r.Method) || !isVisible(uri) || !isVisible(host) {
		return nil, errBadRequest
	}
	to = append(to, r.Method...)
	to = append(to, ' ')
	to = append(to, uri...)
	to = append(to, " HTTP/1.1\r\nHost: "...)
	to = append(to, host...)
	to = append(to, "\r\n"...)
	for name, values := range r.Header {
		if isOurs(name) {
			continue
		}
		for _, value := range values {
			if !isToken(name) || !isText(value) {
				return nil, errBadRequest
			}
			to = append(to, name...)
			to = append(to, ": "...)
			to = append(to, value...)
			to = append(to, "\r\n"...)
		}
	}
	switch {
	case body.length < 0:
		to = append(to, "Transfer-Encoding: chunked\r\n"...)
	case body.length > 0, r.Method == http.MethodPost, r.Method == http.MethodPut, r.Method == http.MethodPatch:
		to = append(to, "Content-Length: "...)
		to = strconv.AppendInt(to, body.length, 10)
		to = append(to, "\r\n"...)
	}
	return append(to, "\r\n"...), nil
}

// isOurs reports whether a field is not taken from the request's.
func isOurs(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Upgrade":
		return true
	}
	return false
}

// isVisible reports whether something can stand in a request line: no blank, no control character.
func isVisible(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }) < 0
}

// bufferSize is what a body is copied with, where it cannot be moved inside the kernel.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// TCPWriter is what a body is written to that can move itself (io.WriterTo).
type TCPWriter interface {
	io.Writer
	// TCP is the connection to move bytes to inside the kernel; nil: they have to be written.
	TCP() *net.TCPConn
	// Broke is told why moving bytes to TCP has ended.
	Broke(err error)
}

// sink is a connection that takes a body of a length.
type sink struct {
	*conn
	left   int64 // what may be written of a body of a length
	broken error // what writing said
}

func (s *sink) TCP() *net.TCPConn { return s.tcp }
func (s *sink) Broke(err error)   { s.broken = err }

func (s *sink) Write(p []byte) (int, error) {
	if s.left -= int64(len(p)); s.left < 0 {
		return 0, errBodyLong
	}
	n, err := s.conn.Write(p)
	s.broken = cmp.Or(s.broken, err)
	return n, err
}

// send writes a body. What breaks because of the body, and not of the connection, ends whoever waits for the answer.
func (c *conn) send(from *attempt) error {
	to := &sink{conn: c, left: from.of.length}
	var err error
	if from.of.length < 0 {
		to.left = math.MaxInt64
		err = sendChunks(to, from)
	} else {
		err = sendLength(to, from)
	}
	if err != nil && to.broken == nil {
		c.fail(err)
	}
	return err
}

// sendLength sends exactly as much as was said. A body that does not move itself is copied to its end.
func sendLength(to *sink, from *attempt) error {
	whole, moves := from.of.body.(io.WriterTo)
	left := from.of.length
	if !moves || !from.passes() {
		var err error
		if left, err = copyHeld(to, from, moves); err != nil || left == 0 {
			return err
		}
	}
	n, err := whole.WriteTo(to)
	if err == nil && n != left {
		err = errBodyShort
	}
	return err
}

// copyHeld copies a body until all that is left may move itself, if it does that, or to its end. It returns how much is
// left.
func copyHeld(to *sink, from *attempt, moves bool) (left int64, err error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for left = from.of.length; left > 0 && (!moves || !from.passes()); {
		n, err := from.Read((*buffer)[:min(left, bufferSize)])
		left -= int64(n)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return left, err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && left > 0:
			return left, errBodyShort
		case err != nil && !errors.Is(err, io.EOF):
			return left, err
		}
	}
	return left, nil
}

// chunkHead is room for the line before a chunk.
const chunkHead = 16

// sendChunks sends each read as a chunk, in one write.
func sendChunks(to *sink, from *attempt) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	b := *buffer
	for {
		n, err := from.Read(b[chunkHead : bufferSize-2])
		if n > 0 {
			line := append(strconv.AppendInt(b[:0:chunkHead], int64(n), 16), "\r\n"...)
			begin := chunkHead - len(line)
			copy(b[begin:], line)
			copy(b[chunkHead+n:], "\r\n")
			if _, err := to.Write(b[begin : chunkHead+n+2]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			_, err = to.Write([]byte("0\r\n\r\n"))
			return err
		}
		if err != nil {
			return err
		}
	}
}
