package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// session is an upload in progress. Of one goroutine.
type session struct {
	*peer
	digest string
	at     *url.URL
	tries  retries
	mute   bool // the replica does not say how far an upload has come
}

var (
	errForeign = errors.New("the upload would leave the replica")
	errShort   = errors.New("answered before all was sent")
	errSize    = errors.New("the blob has another size than what was sent")
)

// begin is end-4a of the distribution spec.
func begin(ctx context.Context, p *peer, digest string) (*session, error) {
	s := &session{peer: p, digest: digest, at: p.at("blobs/uploads/")}
	s.tries = retries{most: p.tries, pause: p.pause}
	header, err := s.ask(ctx, call{method: http.MethodPost}, http.StatusAccepted)
	if passing(err) {
		return nil, lost(err)
	}
	if err == nil && header.Get("Location") == "" {
		return nil, &Error{Replica: s.Name, Method: http.MethodPost, Status: http.StatusAccepted, Err: errLocation}
	}
	return s, err
}

// ask sends a request to the upload, which may move, and takes one status for success.
func (s *session) ask(ctx context.Context, c call, want int) (http.Header, error) {
	if c.at == nil {
		c.at = s.at
	}
	response, err := s.send(ctx, c)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != want {
		return nil, s.refused(response, nil)
	}
	response.Body.Close()
	if location := response.Header.Get("Location"); location != "" && want != http.StatusCreated {
		at, foreign, err := s.locate(s.at, location, sameName)
		if err == nil && foreign {
			err = errForeign
		}
		if err != nil {
			return nil, s.refused(response, err)
		}
		s.at = at
	}
	return response.Header, nil
}

// chunk sends the next part of the blob, through breaks.
func (s *session) chunk(ctx context.Context, in *source) error {
	start := in.offset
	end := min(start+s.step(), in.size)
	in.states = nil
	if err := in.keep(); err != nil {
		return err
	}
	for {
		err := s.patch(ctx, in, end) // end-5
		if err == nil {
			return nil
		}
		if in.failed != nil {
			return in.failed
		}
		at, err := s.where(ctx, err)
		switch {
		case errors.Is(err, errMute): // what it did not take as a whole it has not taken
			at, s.mute, end = start, true, min(start+s.bounds.small, in.size)
		case err != nil:
			return err
		}
		if at < start || at > in.offset {
			return lost(fmt.Errorf("%s has %d bytes", s.Name, at))
		}
		s.tries.moved(at)
		if at < in.offset {
			if err := in.back(at); err != nil {
				return err
			}
		}
		if at == end {
			return nil
		}
	}
}

// step is how many bytes one PATCH has. Of a replica that does not say how many have come, all of them are sent again.
func (s *session) step() int64 {
	if s.mute {
		return s.bounds.small
	}
	return s.bounds.chunk
}

func (s *session) patch(ctx context.Context, in *source, end int64) error {
	length := end - in.offset
	header := http.Header{}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Range", fmt.Sprintf("%d-%d", in.offset, end-1))
	_, err := s.ask(ctx, call{
		method: http.MethodPatch, header: header, body: io.LimitReader(in, length), length: length,
	}, http.StatusAccepted)
	if err == nil && in.offset != end {
		err = &Error{Replica: s.Name, Method: http.MethodPatch, Err: errShort}
	}
	return err
}

// where asks how far the upload has come (end-13), after what went wrong with it.
func (s *session) where(ctx context.Context, err error) (int64, error) {
	refusedRange := hasStatus(err, http.StatusRequestedRangeNotSatisfiable)
	for {
		if hasStatus(err, http.StatusNotFound) {
			return 0, lost(err)
		}
		if !passing(err) && !hasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
			return 0, err
		}
		if err := s.tries.again(ctx, err); err != nil {
			return 0, err
		}
		var header http.Header
		header, err = s.ask(ctx, call{method: http.MethodGet}, http.StatusNoContent)
		if err == nil {
			at := received(header.Get("Range"))
			if at < 0 {
				return 0, lost(&Error{Replica: s.Name, Method: http.MethodGet, Status: http.StatusNoContent, Err: errRange})
			}
			return at, nil
		}
		switch {
		case passing(err):
		case hasStatus(err, http.StatusNotFound), refusedRange:
			return 0, lost(err)
		default:
			return 0, errMute
		}
	}
}

// errMute: go-containerregistry's registry is one that does not know end-13.
var errMute = errors.New("the replica does not say how far the upload has come")

// commit is end-6. What somebody else has committed meanwhile is as good, but leaves the upload open.
func (s *session) commit(ctx context.Context) (committed bool, err error) {
	at := *s.at
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&digest="+url.QueryEscape(s.digest), "&")
	_, err = s.ask(ctx, call{method: http.MethodPut, at: &at, wait: s.bounds.commit}, http.StatusCreated)
	if err == nil {
		return true, nil
	}
	if has, _ := s.has(ctx, "blobs", s.digest); has {
		return false, nil
	}
	if passing(err) || hasStatus(err, http.StatusNotFound) {
		return false, lost(err)
	}
	return false, err
}

// abandon frees what the replica has stored; its own sweep does where this fails.
// measure finds out what went wrong with an upload to a mute replica that checks no digest either: something of it was sent
// again that had come.
func (s *session) measure(ctx context.Context, size int64) error {
	response, err := s.fetch(ctx, http.MethodHead, "blobs/"+s.digest, nil)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode == http.StatusOK && (response.ContentLength == size || response.ContentLength < 0) {
		return nil
	}
	_ = s.delete(ctx, "blobs/"+s.digest)
	return &Error{Replica: s.Name, Method: http.MethodHead, Status: response.StatusCode, Err: errSize}
}

func (s *session) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.goodbye)
	defer cancel()
	_, _ = s.ask(ctx, call{method: http.MethodDelete}, http.StatusNoContent)
}
