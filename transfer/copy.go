// Package transfer copies one blob or one manifest of a repository from a replica to another, on behalf
// of a client: what its push left elsewhere.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Replica is how a replica is reached.
type Replica struct {
	Name      string
	URL       *url.URL // scheme and host
	Host      string   // the Host header; "" is URL.Host
	Transport http.RoundTripper
}

// bounds of what a transfer waits for, and how often it tries. A whole blob takes as long as it moves:
// that is for the caller's context to bound.
type bounds struct {
	commit  time.Duration // for the answer to a commit: object storage needs minutes for large blobs
	answer  time.Duration // for any other one, from a request's last byte to the first of its answer
	still   time.Duration // without a byte of a body moving
	goodbye time.Duration // for an upload to be given up
	pause   time.Duration // before the second try; doubled before each further one
	tries   int           // after the first, in a row and without progress
	anew    int           // uploads after the first
	chunk   int64         // bytes of a PATCH
	small   int64         // bytes of one that may have to be sent again as a whole
}

func standard() bounds {
	return bounds{
		commit:  15 * time.Minute,
		answer:  30 * time.Second,
		still:   30 * time.Second,
		goodbye: 5 * time.Second,
		pause:   100 * time.Millisecond,
		tries:   5,
		anew:    3,
		chunk:   64 << 20,
		small:   1 << 20,
	}
}

// retries are tries without progress. Of one goroutine.
type retries struct {
	most, made int
	pause      time.Duration
	offset     int64 // where progress was last made
}

// least is how many bytes are progress: a trickle is none.
const least = 16 << 10

func (r *retries) moved(offset int64) {
	if offset-r.offset >= least {
		r.offset, r.made = offset, 0
	}
}

// again waits before another try, or returns err when there has been enough of them.
func (r *retries) again(ctx context.Context, err error) error {
	if r.made == r.most {
		return err
	}
	timer := time.NewTimer(r.pause << r.made)
	defer timer.Stop()
	r.made++
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Blob copies a blob from one replica's repository to the same repository of another, and commits it
// only if its digest is right. The credential's Authorization goes to both and to nobody else.
func Blob(ctx context.Context, from, to Replica, repository, digest string, credential http.Header) error {
	return standard().blob(ctx, from, to, repository, digest, credential)
}

func (b bounds) blob(ctx context.Context, from, to Replica, repository, digest string, credential http.Header) error {
	source, target := b.peer(from, repository, credential), b.peer(to, repository, credential)
	anew := retries{most: b.anew, pause: b.pause}
	for {
		err := upload(ctx, source, target, digest)
		if !errors.Is(err, errLost) {
			return err
		}
		if err := anew.again(ctx, err); err != nil {
			return err
		}
	}
}

// errLost: an upload that cannot go on, while another one may.
var errLost = errors.New("the upload is lost")

func lost(err error) error { return fmt.Errorf("%w: %w", errLost, err) }

// upload is one attempt: all or nothing.
func upload(ctx context.Context, source, target *peer, digest string) error {
	in, err := open(ctx, source, digest)
	if err != nil {
		return err
	}
	defer in.close()
	s, err := begin(ctx, target, digest)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			s.abandon(ctx)
		}
	}()
	for in.offset < in.size {
		if err := s.chunk(ctx, in); err != nil {
			return err
		}
	}
	if err := in.verify(); err != nil {
		return err
	}
	if committed, err = s.commit(ctx); err != nil || !s.mute {
		return err
	}
	return s.measure(ctx, in.size)
}
