// Package transfer asks a replica for what a repository has, changes it, and copies one blob from a replica to another,
// through breaks. It speaks the protocol of the OCI distribution spec, as registries do in fact.
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
	Name        string
	URL         *url.URL // scheme and host
	Host        string   // the Host header; "" is URL.Host
	Transport   http.RoundTripper
	MaxManifest int64 // bytes of a manifest that are read; 0 is DefaultMaxManifest
	Piece       *Piece

	// Commits is called before a blob that was sent is committed; nil: nothing is asked. An error gives the upload up.
	Commits func(context.Context) error
}

// DefaultMaxManifest is twice what registries must take (OCI distribution spec 1.1, "Pushing Manifests").
const DefaultMaxManifest = 8 << 20

// bounds limit how long a transfer waits, and how often it tries. How long a blob may take as long as bytes move is for
// the caller's context to bound.
type bounds struct {
	commit     time.Duration // for the answer to a commit: object storage needs minutes for large blobs
	answer     time.Duration // for any other one, from a request's last byte to the first of its answer
	still      time.Duration // without a byte of a body moving
	goodbye    time.Duration // for an upload to be given up
	pause      time.Duration // before the second try; doubled before each further one
	tries      int           // after the first, in a row and without progress
	restarts   int           // uploads after the first
	usualChunk int64         // bytes of a PATCH, unless the replica wants others
}

func standard() bounds {
	return bounds{
		commit:     15 * time.Minute,
		answer:     30 * time.Second,
		still:      30 * time.Second,
		goodbye:    5 * time.Second,
		pause:      100 * time.Millisecond,
		tries:      5,
		restarts:   3,
		usualChunk: 64 << 20,
	}
}

// retries counts tries without progress. It belongs to one goroutine.
type retries struct {
	most, made int
	pause      time.Duration
	offset     int64 // where progress was last made
}

// least is how many bytes count as progress.
const least = 16 << 10

func (r *retries) moved(offset int64) {
	if offset-r.offset >= least {
		r.offset, r.made = offset, 0
	}
}

// backOff waits before another try, or returns err if there have been enough.
func (r *retries) backOff(ctx context.Context, err error) error {
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

// CopyBlob copies a blob from one repository to another, in chunks (OCI distribution spec 1.1, "Pushing a blob in
// chunks"), and commits it only if its digest is right. The repositories may differ in name. size is that of the
// descriptor, 0 if it is not known; it is used where the replica does not say how long the blob is.
func CopyBlob(ctx context.Context, from, to Repository, digest string, size int64) error {
	return standard().copyBlob(ctx, from, to, digest, size)
}

func (b bounds) copyBlob(ctx context.Context, from, to Repository, digest string, size int64) error {
	source, target := b.peer(from), b.peer(to)
	restarts, trust, how := retries{most: b.restarts, pause: b.pause}, trust{size: size}, &sending{}
	uncertain := false
	for {
		in, err := open(ctx, source, digest, trust)
		if err == nil {
			err = upload(ctx, in, target, how)
		}
		if less, ok := in.lessTrust(err); ok {
			trust = less
			continue
		}
		if errors.Is(err, errLost) {
			uncertain = uncertain || Uncertain(err)
			if how.shrank() {
				restarts.made = 0
			}
			if err = restarts.backOff(ctx, err); err == nil {
				continue
			}
		}
		if err != nil && uncertain && !Uncertain(err) {
			err = fmt.Errorf("%w: %w", err, errUncertain)
		}
		return err
	}
}

// errLost means that an upload cannot go on, although another one may.
var errLost = errors.New("the upload is lost")

func lost(err error) error { return fmt.Errorf("%w: %w", errLost, err) }

// upload is one attempt to send all of a blob.
func upload(ctx context.Context, in *source, target *peer, how *sending) error {
	defer in.close()
	s, committed, err := begin(ctx, target, in.digest, how)
	if err != nil || committed {
		return err
	}
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
	committed, err = s.commit(ctx)
	if committed && err == nil && s.halved {
		s.Piece.lower(s.chunkSize, time.Now())
	}
	return err
}
