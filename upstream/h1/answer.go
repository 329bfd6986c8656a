package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// ErrNonsense means that what came is no good HTTP/1.1 (RFC 9112), though a lenient reader may make something of it, or
// is no answer to what was asked. Nothing can be said of what the server did, and its connection is not used again.
var ErrNonsense = errors.New("the replica's answer makes no sense")

// nonsense quotes nothing of the answer: a field may be a cookie, and errors are logged.
func nonsense(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNonsense, fmt.Sprintf(format, args...))
}

// Bounds of an answer's fields.
const (
	maxHead   = 64 << 10 // bytes, with the status line
	maxFields = 256
)

// head is what stands before an answer's body.
type head struct {
	status int
	reason string
	minor  int // of HTTP/1.x
	header http.Header
}

// readHead reads a status line and fields. scratch is reused for them. begun: some byte of it came. What does not begin
// as an answer may never end as one.
func readHead(from *bufio.Reader, scratch []byte) (h head, kept []byte, begun bool, err error) {
	text, err := readLine(from, scratch[:0], maxHead)
	if err == nil {
		h.status, h.minor, h.reason, err = parseStatusLine(string(text[:len(text)-2]))
	}
	if err != nil {
		return head{}, text, len(text) > 0, err
	}
	text, err = readLines(from, text[:0], maxHead)
	if err == nil {
		h.header, err = parseFields(string(text))
	}
	return h, text, true, err
}

// readLines appends lines until an empty one, which is not appended.
func readLines(from *bufio.Reader, to []byte, most int) ([]byte, error) {
	for {
		begin := len(to)
		var err error
		if to, err = readLine(from, to, most); err != nil {
			return to, err
		}
		if len(to) == begin+2 {
			return to[:begin], nil
		}
	}
}

// readLine appends a line with its end.
func readLine(from *bufio.Reader, to []byte, most int) ([]byte, error) {
	for {
		part, err := from.ReadSlice('\n')
		to = append(to, part...)
		switch {
		case len(to) > most:
			return to, nonsense("more than %d bytes of fields", most)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return to, unexpected(err)
		case !bytes.HasSuffix(to, []byte("\r\n")):
			return to, nonsense("a line ends without a carriage return")
		}
		return to, nil
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseStatusLine reads `HTTP/1.1 200 OK`. Servers leave out the reason, and the blank before it.
func parseStatusLine(line string) (status, minor int, reason string, err error) {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	switch version {
	case "HTTP/1.1":
		minor = 1
	case "HTTP/1.0":
	default:
		return 0, 0, "", nonsense("it does not begin with HTTP/1")
	}
	status, err = strconv.Atoi(code)
	if err != nil || len(code) != 3 || !isDigits(code) || !isText(reason) {
		return 0, 0, "", nonsense("its status line has no status, or a character that none may have")
	}
	return status, minor, reason, nil
}

// parseFields reads field lines that each end with CRLF (RFC 9112, 5). Folded lines are refused.
func parseFields(text string) (http.Header, error) {
	count := strings.Count(text, "\r\n")
	if count > maxFields {
		return nil, nonsense("more than %d fields", maxFields)
	}
	header, values := make(http.Header, count), make([]string, count)
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, nonsense("a field has no name")
		}
		if value = strings.Trim(value, " \t"); !isText(value) {
			return nil, nonsense("a field has a character that none may have")
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if known := header[key]; known != nil {
			header[key] = append(known, value)
			continue
		}
		values[0] = value
		header[key], values = values[:1:1], values[1:]
	}
	return header, nil
}

// isText reports whether something may be a field's value or a reason: visible characters, blanks, tabs, and what is
// not ASCII.
func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// tokenChars are those of a token (RFC 9110, 5.6.2).
var tokenChars = func() (chars [256]bool) {
	for c := range chars {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		chars[c] = letter || '0' <= c && c <= '9' || c < 0x7f && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c))
	}
	return chars
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// framing is how the end of a body is found (RFC 9112, 6.3).
type framing int

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// framingOf is how the body of an answer to a method ends, and its length; -1: not said. What two readers could read
// differently is refused.
func framingOf(method string, h head) (f framing, length int64, err error) {
	codings, lengths := h.header["Transfer-Encoding"], h.header["Content-Length"]
	length = -1
	switch {
	case len(codings) > 0 && (len(lengths) > 0 || h.minor == 0):
		return 0, 0, nonsense("it has Transfer-Encoding beside Content-Length, or in HTTP/1.0")
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return 0, 0, nonsense("its Transfer-Encoding is not chunked")
	case len(lengths) > 0:
		if length, err = parseLength(lengths); err != nil {
			return 0, 0, err
		}
		h.header["Content-Length"] = lengths[:1]
	}
	switch {
	case method == http.MethodHead:
		return noBody, length, nil
	case h.status < 200, h.status == http.StatusNoContent, h.status == http.StatusNotModified, length == 0:
		return noBody, 0, nil
	case len(codings) > 0:
		return byChunks, -1, nil
	case length > 0:
		return byLength, length, nil
	}
	return byClose, -1, nil
}

// parseLength reads a length that may be said several times, if each says the same.
func parseLength(lengths []string) (int64, error) {
	n, err := strconv.ParseInt(lengths[0], 10, 64)
	if err != nil || !isDigits(lengths[0]) {
		return 0, nonsense("its Content-Length is no length")
	}
	for _, other := range lengths {
		if other != lengths[0] {
			return 0, nonsense("it has two Content-Lengths")
		}
	}
	return n, nil
}

// hasToken reports whether a list of tokens, in any number of fields, has one.
func hasToken(fields []string, token string) bool {
	for _, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.Trim(one, " \t"), token) {
				return true
			}
		}
	}
	return false
}
