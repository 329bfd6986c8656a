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
}

var (
	errForeign = errors.New("the upload would leave the replica")
	errShort   = errors.New("answered before all was sent")
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
	end := min(start+s.bounds.chunk, in.size)
	in.states = nil
	if err := in.keep(); err != nil {
		return err
	}
	for again := false; ; again = true {
		err := s.patch(ctx, in, end, again) // end-5
		if err == nil {
			return nil
		}
		if in.failed != nil {
			return in.failed
		}
		at, err := s.where(ctx, err)
		if err != nil {
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

// patch waits, if it is sent again, until the replica wants it: what it still had in its hands when the way to it broke it may
// have added since it was asked how far it is.
func (s *session) patch(ctx context.Context, in *source, end int64, again bool) error {
	length := end - in.offset
	header := http.Header{}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Range", fmt.Sprintf("%d-%d", in.offset, end-1))
	if again {
		header.Set("Expect", "100-continue")
	}
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
		if !passing(err) {
			return 0, lost(err)
		}
	}
}

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
func (s *session) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.goodbye)
	defer cancel()
	_, _ = s.ask(ctx, call{method: http.MethodDelete}, http.StatusNoContent)
}
