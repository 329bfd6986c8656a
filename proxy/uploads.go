package proxy

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fairlead-gateway/fairlead/router"
)

// maxBegun is how many uploads one client may have begun to one repository and not finished. Docker has five at once
// for each push.
const maxBegun = 4096

// openUploads counts those that replicas have begun for a client and that it has not finished: a registry keeps them
// for days. What is finished through another gateway is not heard of, so that all are forgotten in the course of life.
type openUploads struct {
	life changingDuration

	mu sync.Mutex
	of *simplelru.LRU[uploadsKey, begun] // Guarded by mu.
}

// uploadsKey is a client, which has a whole prefix, and a repository.
type uploadsKey struct {
	client     netip.Prefix
	repository string
}

func (x *exchange) uploadsKey() uploadsKey {
	return uploadsKey{clientPrefix(x.client), x.target.repository}
}

// newOpenUploads has room for so many clients that push to a repository.
func newOpenUploads(life time.Duration, most int) *openUploads {
	u := &openUploads{of: newLRU[uploadsKey, begun](most)}
	u.life.set(life)
	return u
}

// begun is how many were unfinished, at a time.
type begun struct {
	n  float64
	at time.Time
}

// left is how many still are: as many are forgotten in each life as there may be.
func (b begun) left(life time.Duration, now time.Time) float64 {
	return max(b.n-maxBegun*float64(now.Sub(b.at))/float64(life), 0)
}

func (u *openUploads) full(k uploadsKey, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _ := u.of.Peek(k)
	return b.left(u.life.get(), now) > maxBegun-1
}

// note adds uploads that were begun, or, below 0, finished.
func (u *openUploads) note(k uploadsKey, n float64, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, known := u.of.Get(k)
	n = max(b.left(u.life.get(), now)+n, 0)
	switch {
	case n > 0:
		u.of.Add(k, begun{n, now})
	case known:
		u.of.Remove(k)
	}
}

// postsUpload reports whether the request asks for an upload, with or without content in it.
func (x *exchange) postsUpload() bool {
	return x.target.kind == router.Write && !x.target.manifest && !x.target.blob && x.in.Method == http.MethodPost
}

// noteUpload counts what an accepted step begins or ends.
func (x *exchange) noteUpload(response *http.Response, now time.Time) {
	switch {
	case x.postsUpload() && x.inProgress(response):
		x.proxy.uploads.note(x.uploadsKey(), 1, now)
	case x.target.kind == router.Upload && (x.in.Method == http.MethodDelete || x.commits(response)):
		x.proxy.uploads.note(x.uploadsKey(), -1, now)
	}
}
