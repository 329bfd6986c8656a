package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
)

// ErrNonsense means that what came is no answer to what was asked. Nothing can be said of what the replica did.
var ErrNonsense = errors.New("the replica's answer makes no sense")

// maxHints is how many answers below 200 may come before the one that counts.
const maxHints = 16

// validating is a transport that takes for an answer only what may answer the request that it sent. All that comes from
// a replica, or through another gateway, comes through one.
type validating struct{ transport }

// transport is what validating looks at the answers of.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// RoundTrip closes the connection of what is no answer: nobody knows where the next one begins.
func (s validating) RoundTrip(r *http.Request) (*http.Response, error) {
	var of used
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { of.conn.Store(&info.Conn) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if of.hints.Add(1) > maxHints { // net/http does not bound what it hands on
				of.close()
			}
			return nil
		},
	}
	response, err := s.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return nil, unquoted(err)
	}
	if err := validate(r, response); err != nil {
		of.close()
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// used is what a request was sent on. Where net/http has sent it again, word may still come of the connection before.
type used struct {
	conn  atomic.Pointer[net.Conn]
	hints atomic.Int32
}

func (u *used) close() {
	if conn := u.conn.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

// validate compares an answer with its request. net/http takes any three digits for the status of a final answer, and
// does not compare it with the request. To be passed on a status must be one (RFC 9110, 15), and what depends on a
// field of the request must have been asked for.
func validate(r *http.Request, response *http.Response) error {
	switch status := response.StatusCode; {
	case status < 200 || status > 599:
		return fmt.Errorf("%w: no request ends in %03d", ErrNonsense, status)
	case status == http.StatusNotModified && !isConditional(r):
		return fmt.Errorf("%w: 304, and nobody asked whether something has changed", ErrNonsense)
	case status == http.StatusPartialContent && !answersRange(r, response.Header):
		return fmt.Errorf("%w: 206 with Content-Range %q, asked for %q", ErrNonsense,
			response.Header.Get("Content-Range"), r.Header.Get("Range"))
	case status == http.StatusPartialContent && !hasLengthOfRange(response):
		return fmt.Errorf("%w: %d bytes for Content-Range %q", ErrNonsense, response.ContentLength,
			response.Header.Get("Content-Range"))
	}
	return nil
}

func isConditional(r *http.Request) bool {
	return isRead(r.Method) && (r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "")
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// answersRange reports whether an answer is of the range that was asked for. A part begins where it was asked for,
// since clients put it behind what they have. It may end earlier (RFC 9110, 15.3.7). Of several ranges only that they
// were asked for can be said.
func answersRange(r *http.Request, answer http.Header) bool {
	asked, bytes := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !isRead(r.Method) || asked == "" {
		return false
	}
	if !bytes || strings.Contains(asked, ",") {
		return true
	}
	got, ok := parseContentRange(answer.Get("Content-Range"))
	from, to, dashed := strings.Cut(asked, "-")
	last, bounded := number(to)
	if first, ok2 := number(from); ok2 {
		return ok && dashed && got.first == first && (!bounded || got.last <= last)
	}
	// The last so many bytes. How many there are is not always said.
	return ok && dashed && bounded && got.last-got.first < last && (got.size < 0 || got.last == got.size-1)
}

func hasLengthOfRange(response *http.Response) bool {
	got, ok := parseContentRange(response.Header.Get("Content-Range"))
	return !ok || response.ContentLength < 0 || response.Request.Method == http.MethodHead ||
		response.ContentLength == got.last-got.first+1
}

// contentRange is which bytes of how many an answer has; -1: not said.
type contentRange struct{ first, last, size int64 }

// parseContentRange reads `bytes 0-9/100` and `bytes 0-9/*` (RFC 9110, 14.4).
func parseContentRange(text string) (c contentRange, ok bool) {
	unit, text, _ := strings.Cut(text, " ")
	span, size, _ := strings.Cut(text, "/")
	first, last, _ := strings.Cut(span, "-")
	var ok1, ok2 bool
	c.first, ok1 = number(first)
	c.last, ok2 = number(last)
	if c.size, ok = number(size); size == "*" {
		c.size, ok = -1, true
	}
	return c, ok && ok1 && ok2 && unit == "bytes" && c.first <= c.last && (c.size < 0 || c.last < c.size)
}

func number(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}
