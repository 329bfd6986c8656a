package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairlead-gateway/fairlead/oci"
)

// session is an upload in progress. It belongs to one goroutine.
type session struct {
	*peer
	digest   string
	at       *url.URL
	tries    retries
	minChunk int64 // bytes of any PATCH but the last, as the replica wants them
	*sending
}

var (
	errForeign = errors.New("the upload would leave the replica")
	errShort   = errors.New("answered before all was sent")
	errPart    = errors.New("not all that was sent was taken")
	errUnkept  = errors.New("what was accepted is not there")
)

// begin opens an upload (OCI distribution spec 1.1, end-4a). there means that none is needed.
func begin(ctx context.Context, p *peer, digest string, how *sending) (s *session, there bool, err error) {
	s = &session{peer: p, digest: digest, at: p.at("blobs/uploads/"), sending: how}
	s.tries = retries{most: p.tries, pause: p.pause}
	a, err := s.ask(ctx, call{method: http.MethodPost})
	switch {
	case Passing(err):
		return nil, false, lost(err)
	case err != nil:
		return nil, false, err
	}
	nowhere := a.header.Get("Location") == ""
	if a.status == http.StatusCreated || nowhere {
		there, err := s.has(ctx, "blobs", digest)
		if there || err != nil {
			return nil, there, err
		}
	}
	if nowhere {
		return nil, false, s.failed(a, errLocation)
	}
	s.minChunk = number(a.header.Get("OCI-Chunk-Min-Length"))
	s.chunkSize = max(s.Piece.size(cmp.Or(s.chunkSize, s.usualChunk), time.Now()), s.minChunk)
	return s, false, s.moves(a)
}

// answer is a success without its body.
type answer struct {
	method string
	status int
	header http.Header
}

func (p *peer) failed(a answer, err error) error {
	return &Error{Replica: p.Name, Method: a.method, Status: a.status, Err: err}
}

// ask sends a request to the upload. Every 2xx is a success; its header says what it means.
func (s *session) ask(ctx context.Context, c call) (answer, error) {
	if c.at == nil {
		c.at = s.at
	}
	response, err := s.send(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if !success(response.StatusCode) {
		return answer{}, s.refused(response, nil)
	}
	response.Body.Close()
	return answer{c.method, response.StatusCode, response.Header}, nil
}

// moves takes note of where the upload goes on.
func (s *session) moves(a answer) error {
	location := a.header.Get("Location")
	if location == "" {
		return nil
	}
	at, foreign, err := s.locate(s.at, location, oci.SameHost)
	if err == nil && foreign {
		err = errForeign
	}
	if err != nil {
		return s.failed(a, err)
	}
	s.at = at
	return nil
}

// chunk sends the next piece of the blob, through breaks.
func (s *session) chunk(ctx context.Context, in *source) error {
	start := in.offset
	in.states = nil
	if err := in.checkpoint(); err != nil {
		return err
	}
	for resent := false; ; resent = true {
		from, end := in.offset, min(in.offset+s.chunkSize, in.size)
		err := s.patch(ctx, in, end, resent) // end-5
		if err == nil {
			return nil
		}
		if in.failed != nil {
			return in.failed
		}
		at, err := s.resume(ctx, from, end-from, err)
		if err != nil {
			return err
		}
		if at < start || at > in.offset {
			return lost(fmt.Errorf("%s has %d bytes", s.Name, at))
		}
		s.tries.moved(at)
		if at < in.offset {
			if err := in.rewind(at); err != nil {
				return err
			}
		}
		if at == in.size || at-start >= s.usualChunk {
			return nil
		}
	}
}

// patch sends a chunk (end-5). If it is sent again, it waits until the replica asks for it: bytes that were still on
// their way when the connection broke may have been added since the replica was asked for its progress.
func (s *session) patch(ctx context.Context, in *source, end int64, resent bool) error {
	length := end - in.offset
	header := http.Header{}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Range", fmt.Sprintf("%d-%d", in.offset, end-1))
	if resent {
		header.Set("Expect", "100-continue")
	}
	body := io.LimitReader(in, length)
	a, err := s.ask(ctx, call{method: http.MethodPatch, header: header, body: body, length: length})
	if err != nil {
		return err
	}
	if err := s.moves(a); err != nil {
		return err
	}
	if in.offset != end {
		return &Error{Replica: s.Name, Method: http.MethodPatch, Err: errShort}
	}
	if at := received(a.header.Get("Range")); at >= 0 && at < end {
		return &Error{Replica: s.Name, Method: http.MethodPatch, Err: errPart}
	}
	s.stuck = 0
	return nil
}

// resume returns where to go on after a PATCH that failed. A chunk that is too large is sent in pieces. So is one that
// broke off more than once without effect, which is how some proxies refuse it.
func (s *session) resume(ctx context.Context, from, length int64, err error) (int64, error) {
	if hasStatus(err, http.StatusRequestEntityTooLarge) {
		if !s.smaller(length) {
			return 0, err
		}
		return from, nil
	}
	broke := brokeOff(err)
	at, err := s.where(ctx, err)
	switch {
	case !broke || err != nil && !errors.Is(err, errLost): // or it did not answer
	case err == nil && at > from:
		s.stuck = 0
	default:
		s.stuck++
		if s.stuck > 1 && s.smaller(length) {
			s.tries.made, s.shrunk = 0, true
		}
	}
	return at, err
}

// smaller makes pieces smaller than the given length, and reports whether that is possible.
func (s *session) smaller(length int64) bool {
	half := max(length/2, leastChunk, s.minChunk)
	if half >= length {
		return false
	}
	s.chunkSize, s.halved = half, true
	return true
}

// where asks how far the upload has come (end-13), after what went wrong with it.
func (s *session) where(ctx context.Context, err error) (int64, error) {
	for {
		if hasStatus(err, http.StatusNotFound) {
			return 0, lost(err)
		}
		if !Passing(err) && !hasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
			return 0, err
		}
		if err := s.tries.backOff(ctx, err); err != nil {
			return 0, err
		}
		outOfStep := hasStatus(err, http.StatusRequestedRangeNotSatisfiable)
		var a answer
		a, err = s.ask(ctx, call{method: http.MethodGet})
		if err == nil {
			return s.taken(a, outOfStep)
		}
		if !Passing(err) {
			return 0, lost(err)
		}
	}
}

// taken returns how much the answer about an upload says that the replica has. "0-0" is most likely nothing, unless
// that was tried and is wrong.
func (s *session) taken(a answer, outOfStep bool) (int64, error) {
	if err := s.moves(a); err != nil {
		return 0, lost(err)
	}
	text := a.header.Get("Range")
	at := received(text)
	switch {
	case at >= 0:
		return at, nil
	case nothing(text) && !outOfStep:
		return 0, nil
	}
	return 0, lost(s.failed(a, errRange))
}

// commit closes the upload (end-6). If somebody else has committed the blob meanwhile, that is as good, but leaves the
// upload open. A commit cannot be taken back, so it outlasts ctx a little to learn how it ends. accepted means that the
// upload is no longer ours to abandon.
func (s *session) commit(ctx context.Context) (accepted bool, err error) {
	if s.Commits != nil {
		if err := s.Commits(ctx); err != nil {
			return false, err
		}
	}
	ctx, cancel := outlasting(ctx, s.goodbye)
	defer cancel()
	a, err := s.ask(ctx, call{method: http.MethodPut, at: s.commitAt(), wait: s.bounds.commit})
	if err == nil {
		return true, s.awaitStored(ctx, a, "blobs", s.digest)
	}
	if has, _ := s.has(ctx, "blobs", s.digest); has {
		return false, nil
	}
	if Passing(err) || hasStatus(err, http.StatusNotFound) {
		return false, lost(err)
	}
	return false, err
}

// commitAt returns the URL that commits the upload. It keeps the query of the upload's own.
func (s *session) commitAt() *url.URL {
	at := *s.at
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&digest="+url.QueryEscape(s.digest), "&")
	return &at
}

// awaitStored waits a little until what was accepted is stored: with another status than 201 the replica may still be
// at it. What is not stored in time may be later.
func (p *peer) awaitStored(ctx context.Context, a answer, kind, digest string) error {
	if a.status == http.StatusCreated {
		return nil
	}
	tries := retries{most: p.tries, pause: p.pause}
	for {
		has, err := p.has(ctx, kind, digest)
		if has {
			return nil
		}
		if err == nil {
			err = p.failed(a, errUnkept)
		}
		if tries.backOff(ctx, err) != nil {
			return fmt.Errorf("%w: %w", err, errUncertain)
		}
	}
}

// abandon frees what the replica has stored. If it fails, the replica's own sweep does it.
func (s *session) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.goodbye)
	defer cancel()
	_, _ = s.ask(ctx, call{method: http.MethodDelete})
}

// outlasting returns a context that ends some time after another one.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}
