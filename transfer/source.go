package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
)

// source reads a blob through breaks and hashes it on the way. Of one goroutine at a time.
type source struct {
	*peer
	ctx    context.Context
	digest string
	size   int64 // -1: not known yet
	offset int64 // of the next byte
	body   io.ReadCloser
	tries  retries
	failed error // for good

	hash hash.Cloner // of all before offset
	want []byte
	mark int64 // as far as it has been read before it was taken back, and the sum there
	sum  []byte

	states []state // of the chunk that is sent, in their order; the first is of its beginning
}

var (
	errLength  = errors.New("the replica does not say how long the blob is")
	errRange   = errors.New("not the range that was asked for")
	errChanged = errors.New("read again, the blob is another one")
)

func open(ctx context.Context, p *peer, digest string) (*source, error) {
	h, want, err := parseDigest(digest)
	if err != nil {
		return nil, err
	}
	s := &source{peer: p, ctx: ctx, digest: digest, size: -1, hash: h, want: want}
	s.tries = retries{most: p.tries, pause: p.pause}
	return s, s.ready()
}

// Read returns an error only if the blob cannot be had.
func (s *source) Read(b []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	n, err := s.read(b)
	if err == nil && n > 0 {
		err = s.take(b[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
		return 0, err
	}
	return n, err
}

func (s *source) read(b []byte) (int, error) {
	for s.offset < s.size {
		if err := s.ready(); err != nil {
			return 0, err
		}
		end := s.size
		if s.offset < s.mark {
			end = s.mark // take compares there
		}
		n, err := s.body.Read(b[:min(int64(len(b)), end-s.offset)])
		if n > 0 || err == nil {
			return n, nil // an error stays, and is met again
		}
		s.close()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err := s.tries.again(s.ctx, s.broken(err)); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// ready opens the blob at offset, if it is not open.
func (s *source) ready() error {
	for s.body == nil {
		err := s.get()
		if err != nil && passing(err) {
			err = s.tries.again(s.ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *source) get() error {
	header := http.Header{}
	if s.offset > 0 {
		// With its end: go-containerregistry's registry wants both.
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", s.offset, s.size-1))
	}
	response, err := s.fetch(s.ctx, http.MethodGet, "blobs/"+s.digest, header)
	if err != nil {
		return err
	}
	start, size := int64(0), response.ContentLength
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		start, size = contentRange(response.Header.Get("Content-Range"))
		if start != s.offset {
			return s.refused(response, errRange)
		}
	default:
		return s.refused(response, nil)
	}
	if s.size < 0 && size < 0 {
		return s.refused(response, errLength)
	}
	if s.size >= 0 && size >= 0 && size != s.size {
		return s.refused(response, errChanged)
	}
	s.size = max(s.size, size)
	if _, err := io.CopyN(io.Discard, response.Body, s.offset-start); err != nil {
		response.Body.Close()
		return s.broken(err)
	}
	s.body = response.Body
	return nil
}

// broken: without a status, since what it began with was all right.
func (s *source) broken(err error) error {
	return &Error{Replica: s.Name, Method: http.MethodGet, Err: err}
}

func (s *source) close() {
	if s.body != nil {
		s.body.Close()
		s.body = nil
	}
}
