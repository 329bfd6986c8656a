package main

import (
	"context"
	"errors"
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
	at     int     // connections at once, or streams; 0: as many as the flag says
	open   func(ctx context.Context, f *front, l load) (session, error)
}

// load is how much of it.
type load struct {
	content
	at    int // connections, or streams
	times int
}

// session is a front with connections to it that are ready.
type session struct {
	run   func() error // sends all of the load
	close func()
}

func allCases() []benchCase {
	return []benchCase{
		{name: "pull", target: 0.8, open: overHTTP1(pullBlob)},
		{name: "push, PATCH and PUT", target: 1.2, open: overHTTP1(pushBlob)},
		{name: "push, one PUT", target: 1.2, open: overHTTP1(pushBlobAtOnce)},
		{name: "TLS pull", secure: true, target: 0.95, open: overHTTP1(pullBlob)},
		{name: "TLS push, PATCH and PUT", secure: true, target: 1, open: overHTTP1(pushBlob)},
		{name: "HEAD blob, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(headBlob)},
		{name: "HEAD blob, 1 at a time", small: true, target: 1.5, at: 1, open: overHTTP1(headBlob)},
		{name: "GET manifest by digest, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(getManifest)},
		{name: "GET manifest by digest, 1 at a time", small: true, target: 1.5, at: 1, open: overHTTP1(getManifest)},
		{name: "GET manifest by tag, 16 at once", small: true, target: 1.5, at: 16, open: overHTTP1(getTag)},
	}
}

func pullBlob(c *client, l load) error {
	_, err := c.do(http.MethodGet, blobPath(l.content), nil, want{http.StatusOK, int64(len(l.blob)), l.blobDigest})
	return err
}

func pushBlob(c *client, l load) error       { return c.push(l.blob, l.blobDigest) }
func pushBlobAtOnce(c *client, l load) error { return c.pushAtOnce(l.blob, l.blobDigest) }

func headBlob(c *client, l load) error {
	_, err := c.do(http.MethodHead, blobPath(l.content), nil, want{http.StatusOK, int64(len(l.blob)), l.blobDigest})
	return err
}

func getManifest(c *client, l load) error { return c.manifest(l, l.manifestDigest) }
func getTag(c *client, l load) error      { return c.manifest(l, tag) }

func (c *client) manifest(l load, reference string) error {
	_, err := c.do(http.MethodGet, manifestPath(reference), nil,
		want{http.StatusOK, int64(len(l.manifest)), l.manifestDigest})
	return err
}

// overHTTP1 has connections that each do one thing after the other.
func overHTTP1(one func(c *client, l load) error) func(context.Context, *front, load) (session, error) {
	return func(ctx context.Context, f *front, l load) (s session, err error) {
		var clients []*client
		s.close = func() {
			for _, c := range clients {
				c.conn.Close()
			}
		}
		for range l.at {
			c, err := dial(ctx, f)
			if err != nil {
				s.close()
				return s, err
			}
			clients = append(clients, c)
		}
		s.run = func() error {
			return l.spread(func(i int) error { return one(clients[i], l) })
		}
		return s, nil
	}
}

// spread does all of a load. Who meets an error goes no further.
func (l load) spread(one func(i int) error) error {
	var left atomic.Int64
	left.Store(int64(l.times))
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
