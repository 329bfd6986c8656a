package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// benchCase is a kind of load, with the same requests to all peers.
type benchCase struct {
	name   string
	secure bool    // TLS 1.3
	target float64 // at most so many times what HAProxy needs; 0: no target
	small  bool    // counted in requests, not in bytes
	cheap  bool    // only with the backend that has variants of a blob
	at     int     // connections at once, or streams; 0: as many as the flag says
	open   opener
}

// opener makes the connections.
type opener func(ctx context.Context, f *front, l load) (session, error)

// action is what is counted: a blob that is moved, or a request.
type action func(c client, l load) error

// load is how much of it.
type load struct {
	content
	at    int // connections, or streams
	times int
}

// session is a front with connections to it that are ready.
type session struct {
	run   func(times int) error
	close func()
}

func allCases() []benchCase {
	return []benchCase{
		{name: "pull", target: 0.8, open: overHTTP1(pullBlob)},
		{name: "first pull", cheap: true, open: overHTTP1(pullVariant)},
		{name: "push, PATCH and PUT", target: 1.2, open: overHTTP1(pushBlob)},
		{name: "push, one PUT", target: 1.2, open: overHTTP1(pushBlobAtOnce)},
		{name: "TLS pull", secure: true, target: 0.95, open: overHTTP1(pullBlob)},
		{name: "TLS first pull", secure: true, cheap: true, open: overHTTP1(pullVariant)},
		{name: "TLS push, PATCH and PUT", secure: true, target: 1, open: overHTTP1(pushBlob)},
		{name: "HTTP/2 pull, 1 stream", secure: true, target: 1.2, at: 1, open: overHTTP2(pullBlob)},
		{name: "HTTP/2 pull, 4 streams", secure: true, target: 1.2, at: 4, open: overHTTP2(pullBlob)},
		{name: "HTTP/2 push, 4 streams", secure: true, at: 4, open: overHTTP2(pushBlob)},
		{name: "HEAD blob, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(headBlob)},
		{name: "HEAD blob, 1 at a time", small: true, target: 1.5, at: 1, open: overHTTP1(headBlob)},
		{name: "GET manifest by digest, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(getManifest)},
		{name: "GET manifest by digest, 1 at a time", small: true, target: 1.5, at: 1, open: overHTTP1(getManifest)},
		{name: "GET manifest by tag, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(getTag)},
	}
}

func pullBlob(c client, l load) error {
	_, err := c.do(http.MethodGet, blobPath(l.content), nil, want{http.StatusOK, int64(len(l.blob)), l.blobDigest})
	return err
}

// pullVariant pulls what nobody has pulled before.
func pullVariant(c client, l load) error {
	n := l.variants.Add(1)
	digest, _, err := l.variant(n)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v2/%s/blobs/%s?variant=%d", repository, digest, n)
	_, err = c.do(http.MethodGet, path, nil, want{http.StatusOK, int64(len(l.blob)), digest})
	return err
}

func pushBlob(c client, l load) error       { return push(c, l.blob, l.blobDigest) }
func pushBlobAtOnce(c client, l load) error { return pushAtOnce(c, l.blob, l.blobDigest) }

func headBlob(c client, l load) error {
	_, err := c.do(http.MethodHead, blobPath(l.content), nil, want{http.StatusOK, int64(len(l.blob)), l.blobDigest})
	return err
}

func getManifest(c client, l load) error { return manifest(c, l, l.manifestDigest) }
func getTag(c client, l load) error      { return manifest(c, l, tag) }

func manifest(c client, l load, reference string) error {
	_, err := c.do(http.MethodGet, manifestPath(reference), nil,
		want{http.StatusOK, int64(len(l.manifest)), l.manifestDigest})
	return err
}

// overHTTP1 has connections that each do one thing after the other.
func overHTTP1(one action) opener {
	return func(ctx context.Context, f *front, l load) (session, error) {
		var clients []client
		closeAll := func() {
			for _, c := range clients {
				c.close()
			}
		}
		for range l.at {
			c, err := dialHTTP1(ctx, f)
			if err != nil {
				closeAll()
				return session{}, err
			}
			clients = append(clients, c)
		}
		run := func(times int) error { return l.spread(times, func(i int) error { return one(clients[i], l) }) }
		return session{run, closeAll}, nil
	}
}

// overHTTP2 has one connection, and streams on it.
func overHTTP2(one action) opener {
	return func(ctx context.Context, f *front, l load) (session, error) {
		c, err := dialHTTP2(ctx, f)
		if err != nil {
			return session{}, err
		}
		run := func(times int) error { return l.spread(times, func(int) error { return one(c, l) }) }
		return session{run, c.close}, nil
	}
}

// spread does something so many times. Who meets an error goes no further.
func (l load) spread(times int, one func(i int) error) error {
	var left atomic.Int64
	left.Store(int64(times))
	errs := make([]error, l.at)
	var all sync.WaitGroup
	for i := range l.at {
		all.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = one(i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
