package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/fairlead-gateway/fairlead/oci"
)

// source reads a blob, through breaks, and hashes it. It is used by one goroutine at a time.
type source struct {
	*peer
	ctx    context.Context
	digest string
	trust  trust
	size   int64 // -1: not known yet, and, while it is measured, where it ends
	offset int64 // of the next byte
	body   io.ReadCloser
	tries  retries
	failed error // for good

	trusted  bool // the size is not the replica's word about this answer
	unpacked bool // what came was decoded
	unranged bool // it is only had from its beginning

	hash hash.Cloner // of all before offset
	want []byte
	mark int64 // as far as it has been read before it was taken back, and the sum there
	sum  []byte

	states []state // of the chunk that is sent, in their order; the first is of its beginning
}

// trust is what is believed of a blob until its digest proves it wrong.
type trust struct {
	size   int64 // by a descriptor; 0: none is known, noSize: nobody's word
	stored bool  // its Content-Encoding is how it is stored: not to be decoded
}

const noSize = -1

var (
	errSize    = errors.New("the blob has another size than its descriptor says")
	errRange   = errors.New("not the range that was asked for")
	errChanged = errors.New("read again, the blob is another one")
)

// open begins to read a blob. It returns the source also with an error.
func open(ctx context.Context, p *peer, digest string, t trust) (*source, error) {
	s, err := newSource(ctx, p, digest, t)
	if err == nil {
		err = s.ready()
	}
	if err != nil || s.size >= 0 {
		return s, err
	}
	defer s.close()
	if err := s.measure(); err != nil {
		return s, err
	}
	measured, err := newSource(ctx, p, digest, t)
	if err != nil {
		return s, err
	}
	measured.size = s.size
	return measured, measured.ready()
}

func newSource(ctx context.Context, p *peer, digest string, t trust) (*source, error) {
	h, want, err := parseDigest(digest)
	s := &source{peer: p, ctx: ctx, digest: digest, trust: t, size: -1, hash: h, want: want}
	s.tries = retries{most: p.tries, pause: p.pause}
	return s, err
}

// measure reads all of the blob once, where nobody says how long it is: a chunk cannot be sent before that is known.
func (s *source) measure() error {
	for {
		s.states = nil
		if err := s.checkpoint(); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, s, s.usualChunk)
		if errors.Is(err, io.EOF) {
			return s.verify()
		}
		if err != nil {
			return err
		}
	}
}

// lessTrust returns what to believe after an error that may come from having believed too much.
func (s *source) lessTrust(err error) (trust, bool) {
	switch {
	case !errors.Is(err, errDigest) && !errors.Is(err, errSize):
	case s.unpacked: // object stores say so of layers that are stored compressed
		return trust{s.trust.size, true}, true
	case s.trusted:
		return trust{noSize, false}, true
	}
	return trust{}, false
}

// Read returns an error only if the blob cannot be had.
func (s *source) Read(b []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	n, err := s.read(b)
	if err == nil && n > 0 {
		err = s.account(b[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
		return 0, err
	}
	return n, err
}

func (s *source) read(b []byte) (int, error) {
	for s.size < 0 || s.offset < s.size {
		if err := s.ready(); err != nil {
			return 0, err
		}
		n, err := s.body.Read(b[:s.room(len(b))])
		if n > 0 || err == nil {
			return n, nil // an error stays, and is met again
		}
		s.close()
		if errors.Is(err, io.EOF) {
			if s.size < 0 {
				s.size = s.offset
				return 0, io.EOF
			}
			// What is compressed says itself where it ends.
			if s.trusted && (s.unpacked || bytes.Equal(s.hash.Sum(nil), s.want)) {
				return 0, s.wrong(errSize)
			}
			err = io.ErrUnexpectedEOF
		}
		if err := s.tries.backOff(s.ctx, s.broken(err)); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// room returns how much may be read at once: account compares at the mark.
func (s *source) room(n int) int {
	switch {
	case s.offset < s.mark:
		return int(min(int64(n), s.mark-s.offset))
	case s.size >= 0:
		return int(min(int64(n), s.size-s.offset))
	}
	return n
}

// ready opens the blob at offset, if it is not open.
func (s *source) ready() error {
	for s.body == nil {
		err := s.get()
		if err != nil && Passing(err) {
			err = s.tries.backOff(s.ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *source) get() error {
	response, err := s.fetch(s.ctx, http.MethodGet, "blobs/"+s.digest, s.span())
	if err != nil {
		return err
	}
	partial := response.StatusCode == http.StatusPartialContent
	encoded := s.encoded(response)
	unsatisfiable := response.StatusCode == http.StatusRequestedRangeNotSatisfiable
	if !s.unranged && s.offset > 0 && (unsatisfiable || partial && encoded != "") {
		response.Body.Close()
		s.unranged = true
		return s.get()
	}
	start, size := int64(0), response.ContentLength
	switch {
	case partial:
		start, size = contentRange(response.Header.Get("Content-Range"))
		if start != s.offset {
			return s.refused(response, errRange)
		}
	case !success(response.StatusCode):
		return s.refused(response, nil)
	}
	body, err := oci.Decoded(encoded, response.Body)
	if err != nil {
		response.Body.Close()
		return s.broken(err)
	}
	if encoded != "" {
		s.unpacked, size = true, -1
	}
	if s.size < 0 && size < 0 {
		size = s.said()
		s.trusted = size >= 0
	}
	if s.size >= 0 && size >= 0 && size != s.size {
		return s.refused(response, errChanged)
	}
	s.size = max(s.size, size)
	if _, err := io.CopyN(io.Discard, body, s.offset-start); err != nil {
		response.Body.Close()
		return s.broken(err)
	}
	s.body = opened{body, response.Body}
	return nil
}

type opened struct {
	io.Reader
	io.Closer
}

// span returns a Range for the rest, with its end where that is known: go-containerregistry's registry wants both.
func (s *source) span() http.Header {
	switch {
	case s.offset == 0 || s.unranged || s.unpacked: // ranges are of what is sent
		return nil
	case s.size < 0:
		return http.Header{"Range": {fmt.Sprintf("bytes=%d-", s.offset)}}
	}
	return http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", s.offset, s.size-1)}}
}

// encoded returns the encoding that has to be undone. There is none if the answer is as long as the descriptor says.
func (s *source) encoded(response *http.Response) string {
	if s.trust.stored || s.trust.size > 0 && response.ContentLength == s.trust.size {
		return ""
	}
	return oci.Encoding(response.Header)
}

// said returns how long the blob is by its descriptor, or by the answer to HEAD; -1 if nobody says.
func (s *source) said() int64 {
	if s.trust.size != 0 {
		return s.trust.size
	}
	response, err := s.fetch(s.ctx, http.MethodHead, "blobs/"+s.digest, nil)
	if err != nil {
		return noSize
	}
	response.Body.Close()
	if !success(response.StatusCode) || oci.Encoding(response.Header) != "" {
		return noSize
	}
	return response.ContentLength
}

// broken is the error for an answer that broke off. It has no status, since the answer's own was fine.
func (s *source) broken(err error) error {
	return &Error{Replica: s.Name, Method: http.MethodGet, Err: err}
}

func (s *source) close() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}
