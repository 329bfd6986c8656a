package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
)

// Trial is how an upload went that was never meant to be committed.
type Trial struct {
	Status int   // of the first answer that was no success, or of the last one; 0: no answer
	Stays  bool  // the upload could not be cancelled: the replica's own sweep does it
	Err    error // what went wrong; nil: nothing
}

// TryUpload opens an upload, sends it some bytes (at least one) and cancels it (OCI distribution spec 1.1, end-4a, end-5;
// the cancel is a DELETE of the upload, which most registries know): so a replica shows that it can write, and nothing
// is left there. The status is 504 where no answer came until ctx had ended.
func (r Repository) TryUpload(ctx context.Context, size int) Trial {
	s := &session{peer: r.peer()}
	s.at = s.peer.at("blobs/uploads/")
	a, err := s.ask(ctx, call{method: http.MethodPost})
	if err == nil && a.header.Get("Location") == "" {
		err = s.failed(a, errLocation)
	}
	if err == nil {
		err = s.moves(a)
	}
	if err != nil {
		return trialOf(ctx, a, err)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Range", "0-"+strconv.Itoa(size-1))
	a, err = s.ask(ctx, call{
		method: http.MethodPatch, header: header, body: bytes.NewReader(make([]byte, size)), length: int64(size),
	})
	if err == nil {
		err = s.moves(a)
	}
	t := trialOf(ctx, a, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.goodbye)
	defer cancel()
	_, err = s.ask(ctx, call{method: http.MethodDelete})
	if swept := t.Err != nil && Missing(err); err != nil && !swept { // of an upload that failed nothing may be left
		t.Stays, t.Err = true, cmp.Or(t.Err, err)
	}
	return t
}

func trialOf(ctx context.Context, a answer, err error) Trial {
	var e *Error
	switch {
	case err == nil:
		return Trial{Status: a.status}
	case errors.As(err, &e) && e.Status != 0:
		return Trial{Status: e.Status, Err: err}
	case errors.Is(err, errNoAnswer) || ctx.Err() == context.DeadlineExceeded:
		return Trial{Status: http.StatusGatewayTimeout, Err: err}
	}
	return Trial{Err: err}
}
