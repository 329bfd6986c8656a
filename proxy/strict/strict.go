// Package strict reads HTTP/1.x requests by the letter of RFC 9112 before net/http does, which takes more than that:
// bare line feeds, folded lines, several Content-Lengths. What two servers read differently is how one request is
// smuggled behind another; here it is refused.
package strict

import (
	"fmt"
	"net/http"
)

// Bounds of a request, in bytes where nothing else is said.
const (
	// MaxHead is for the request line and all fields: 30 KiB of token occur.
	MaxHead = 64 << 10
	// MaxFields is how many field lines a head may have. Clients of registries send below 20, behind proxies below 40.
	MaxFields = 100
	// maxTrailers is for all trailers of a body: net/http reads no more than fits in its buffer.
	maxTrailers = 2 << 10
	// maxChunkLine is for one chunk's size and its extensions.
	maxChunkLine = 256
	// maxExtensions is for the extensions of all chunks of a body. No client of registries sends any.
	maxExtensions = 4 << 10
	// maxSizeDigits is how many hexadecimal digits a chunk's size may have, leading zeros included.
	maxSizeDigits = 16
	// maxChunk is a chunk's size, with room to count beyond it.
	maxChunk = 1 << 60
)

// Refusal is why a request is none.
type Refusal struct {
	Status int
	Why    string
}

func (r *Refusal) Error() string { return r.Why }

func malformed(why string) *Refusal { return &Refusal{http.StatusBadRequest, why} }

func tooLarge(why string, most int) *Refusal {
	return &Refusal{http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf(why, most)}
}

var (
	errBareLF      = malformed("a line ends with a line feed alone")
	errMethod      = malformed("the request begins with no method")
	errRequestLine = malformed("the request line is not a method, a target and a version, one space between each")
	errTarget      = malformed("the request's target has no valid form")
	errCharacter   = malformed("the request's target has a character that has to be percent-encoded")
	errEscape      = malformed("the request's target has a percent sign without two hexadecimal digits")
	errConnect     = malformed("this is no tunnel")
	errVersion     = &Refusal{http.StatusHTTPVersionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here"}
	errAuthority   = malformed("the request's target and its Host name different hosts")
	errNoHost      = malformed("the request names no host")
	errHosts       = malformed("the request has more than one Host")
	errHost        = malformed("the request's Host has no valid form")
	errFolded      = malformed("a field line begins with white space")
	errName        = malformed("a field has no valid name")
	errValue       = malformed("a field's value has a control character")
	errLengths     = malformed("the request has more than one Content-Length")
	errLength      = malformed("the request's Content-Length is no number of bytes")
	errCodings     = malformed("the request has more than one Transfer-Encoding")
	errCoding      = &Refusal{http.StatusNotImplemented, "the only Transfer-Encoding is chunked"}
	errOldCoding   = malformed("HTTP/1.0 has no Transfer-Encoding")
	errLookalike   = malformed("a field's name is that of the framing, but for an underscore")
	errFraming     = malformed("the request has a Content-Length and a Transfer-Encoding")
	errExpect      = &Refusal{http.StatusExpectationFailed, "nothing but 100-continue can be expected"}
	errTooLarge    = tooLarge("the request's head is larger than %d KiB", MaxHead>>10)
	errTooMany     = tooLarge("the request has more than %d field lines", MaxFields)
	errCut         = malformed("the request breaks off in its head")
	errNoRoom      = &Refusal{http.StatusServiceUnavailable,
		"this gateway holds as much of requests that are not whole as its memory allows"}

	errChunkSize  = malformed("a chunk has no valid size")
	errExtension  = malformed("a chunk has no valid extension")
	errExtensions = malformed("the chunks of a body have too many extensions")
	errChunkEnd   = malformed("a chunk does not end where its size says")
	errTrailer    = malformed("a trailer says what only a header may")
	errTrailers   = malformed("a body has too many trailers")
)
