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

// session is an upload in progress. Of one goroutine.
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

// begin is end-4a of the distribution spec. there: no upload is needed.
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

// ask sends a request to the upload. Every 2xx is a success; what it means is for its header to say.
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

// moves: the upload may go on elsewhere.
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

// patch waits, if it is sent again, until the replica wants it: what it still had in its hands when the way to it broke
// it may have added since it was asked how far it is.
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

// resume is where to go on after a PATCH that failed. One that is too large is sent in pieces; so is one that broke off
// more than once without effect, which is how some that stand before a registry refuse it.
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

// smaller reports whether pieces can be smaller than one of that length, and then are.
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

// taken is what the answer about an upload says of it. "0-0" is most likely nothing, unless that was tried and is
// wrong.
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

// commit is end-6. What somebody else has committed meanwhile is as good, but leaves the upload open. A commit cannot
// be taken back, so that whoever gives up waits a little for how it ends. accepted: the upload is not ours any more.
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

// commitAt is where the upload is to be committed, with what a registry keeps in its address.
func (s *session) commitAt() *url.URL {
	at := *s.at
	at.RawQuery = strings.TrimPrefix(at.RawQuery+"&digest="+url.QueryEscape(s.digest), "&")
	return &at
}

// awaitStored waits a little for what was accepted: with another status than 201 the replica may yet be at it. What
// does not come in time may come later.
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

// abandon frees what the replica has stored; its own sweep does where this fails.
func (s *session) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.goodbye)
	defer cancel()
	_, _ = s.ask(ctx, call{method: http.MethodDelete})
}

// outlasting is a context that ends some time after another one.
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
