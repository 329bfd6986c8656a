package h1

import (
	"net/http"
	"strconv"
	"strings"
)

// validate compares an answer with its request. To be passed on a status must be one (RFC 9110, 15), and what depends
// on a field of the request must have been asked for.
func validate(r *http.Request, response *http.Response) error {
	switch status := response.StatusCode; {
	case status < 200 || status > 599:
		return nonsense("no request ends in %03d", status)
	case status == http.StatusNotModified && !isConditional(r):
		return nonsense("304, and nobody asked whether something has changed")
	case status == http.StatusPartialContent && !answersRange(r, response.Header):
		return nonsense("206 with Content-Range %q, asked for %q", response.Header.Get("Content-Range"),
			r.Header.Get("Range"))
	case status == http.StatusPartialContent && !hasLengthOfRange(response):
		return nonsense("%d bytes for Content-Range %q", response.ContentLength,
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
	got, ok := ParseContentRange(answer.Get("Content-Range"))
	from, to, dashed := strings.Cut(asked, "-")
	last, bounded := number(to)
	if first, ok2 := number(from); ok2 {
		return ok && dashed && got.First == first && (!bounded || got.Last <= last)
	}
	// The last so many bytes. How many there are is not always said.
	return ok && dashed && bounded && got.Last-got.First < last && (got.Size < 0 || got.Last == got.Size-1)
}

func hasLengthOfRange(response *http.Response) bool {
	got, ok := ParseContentRange(response.Header.Get("Content-Range"))
	return !ok || response.ContentLength < 0 || response.Request.Method == http.MethodHead ||
		response.ContentLength == got.Last-got.First+1
}

// ContentRange is which bytes of how many an answer has. Size is -1 where it is not said.
type ContentRange struct{ First, Last, Size int64 }

// ParseContentRange reads `bytes 0-9/100` and `bytes 0-9/*` (RFC 9110, 14.4).
func ParseContentRange(text string) (c ContentRange, ok bool) {
	unit, text, _ := strings.Cut(text, " ")
	span, size, _ := strings.Cut(text, "/")
	first, last, _ := strings.Cut(span, "-")
	var ok1, ok2 bool
	c.First, ok1 = number(first)
	c.Last, ok2 = number(last)
	if c.Size, ok = number(size); size == "*" {
		c.Size, ok = -1, true
	}
	return c, ok && ok1 && ok2 && unit == "bytes" && c.First <= c.Last && (c.Size < 0 || c.Last < c.Size)
}

func number(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}
