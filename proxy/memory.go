package proxy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/semaphore"
)

// Memory bounds what clients can have a proxy hold at once, in bytes, and remember. A zero stands for the field of
// DefaultMemory.
type Memory struct {
	Requests int64 // of requests under way, at RequestMemory each
	Held     int64 // of manifests, to be put or answered, that are taken in whole
	Streams  int   // of one HTTP/2 connection, not in bytes
	// Remembered is how many entries the largest tables have, and eight times as many as the others; 8 at least.
	Remembered int
	Receive    int   // of a body over HTTP/2 that was sent and that nobody has read; 64 KiB to 4 MiB
	Kept       int64 // of small uploads, until they are safe without
}

// RequestMemory is what a request under way needs beside a body that is held: an upload over TLS that is passed on.
const RequestMemory = 144 << 10

// maxRemembered is for a machine where memory is not short. With names of 200 bytes the tables of leases and bindings
// take some 50 MB then.
const maxRemembered = 32_768

// DefaultMemory is for such a machine, too.
var DefaultMemory = Memory{Requests: 32_768 * RequestMemory, Held: 1 << 30, Streams: maxStreams, Receive: 1 << 20,
	Remembered: maxRemembered, Kept: 64 << 20}

// complete puts defaults in the place of zeros.
func (m Memory) complete() Memory {
	return Memory{
		Requests:   cmp.Or(m.Requests, DefaultMemory.Requests),
		Held:       cmp.Or(m.Held, DefaultMemory.Held),
		Streams:    cmp.Or(m.Streams, DefaultMemory.Streams),
		Receive:    cmp.Or(m.Receive, DefaultMemory.Receive),
		Remembered: cmp.Or(m.Remembered, DefaultMemory.Remembered),
		Kept:       cmp.Or(m.Kept, DefaultMemory.Kept),
	}
}

const (
	// smallManifest is twice what manifests of images have at most, in bytes: that much room is taken for one. They
	// have room of their own, so that large ones that come slowly keep nobody from pushing an image.
	smallManifest = 64 << 10
	// leastManifest is what one counts as at least, in bytes, which bounds their number, too: what is read out of a
	// small one takes more than the manifest.
	leastManifest = 16 << 10
	// maxWaiting is how many large ones may wait for room at once.
	maxWaiting = 32
)

var errNoRoom = errors.New("this gateway holds as many manifests as its memory allows")

// room is what is left of Memory.
type room struct {
	// Static.
	of        Memory
	mostSmall int64
	mostLarge int64
	refused   prometheus.Counter

	tooManyOfOne prometheus.Counter

	small, large *semaphore.Weighted
	waiting      chan struct{}
	wait         changingDuration // for room

	mu    sync.Mutex
	share float64                // of one client. Guarded by mu, as all below.
	used  int64                  // of Memory.Requests
	by    map[netip.Prefix]int64 // by client prefixes
}

func newRoom(m Memory, share float64, wait time.Duration, reg prometheus.Registerer) *room {
	mostSmall := max(m.Held/4, 1)
	mostLarge := max(m.Held-mostSmall, 1)
	r := &room{
		of: m, mostSmall: mostSmall, mostLarge: mostLarge,
		small: semaphore.NewWeighted(mostSmall), large: semaphore.NewWeighted(mostLarge),
		waiting: make(chan struct{}, maxWaiting), by: map[netip.Prefix]int64{},
		refused: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_no_room_total",
			Help: "Requests that were refused because this gateway held as much for others as its memory allows.",
		}),
		tooManyOfOne: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "fairlead_proxy_client_over_share_total",
			Help: "Requests that were refused because their client had as many under way as one may.",
		}),
	}
	r.set(share, wait)
	return r
}

func (r *room) set(share float64, wait time.Duration) {
	r.wait.set(wait)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.share = share
}

// enter is for a request of a client. What begins something has seven eighths, what carries on a push all of it, and
// pings a sixteenth beyond. Of each one clientPrefix has its share, pings included.
func (r *room) enter(client netip.Addr, bytes int64, class priority) (leave func(), why *refusal) {
	who := clientPrefix(client)
	all := r.of.Requests
	switch class {
	case newcomer:
		all -= all / 8
	case ping:
		all += all / 16
	case continuing:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.used+bytes > all:
		r.refused.Inc()
		return nil, tooMany
	case r.by[who]+bytes > int64(r.share*float64(all)):
		r.tooManyOfOne.Inc()
		return nil, tooManyOfOne
	}
	r.used += bytes
	r.by[who] += bytes
	return func() { r.leave(who, bytes) }, nil
}

func (r *room) leave(who netip.Prefix, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= bytes
	if r.by[who] -= bytes; r.by[who] == 0 {
		delete(r.by, who)
	}
}

// needs is what a request needs while it is under way. What a body over HTTP/2 may be ahead of who reads it is not
// bounded by the kernel.
func (r *room) needs(request *http.Request) int64 {
	if request.ProtoMajor >= 2 && request.ContentLength != 0 {
		return RequestMemory + int64(r.of.Receive)
	}
	return RequestMemory
}

// reserve waits until so many bytes may be held. What is larger than all there is may be held alone.
func (r *room) reserve(ctx context.Context, bytes int64) (done func(), err error) {
	if done, ok := r.tryReserve(bytes); ok {
		return done, nil
	}
	of, bytes := r.class(bytes)
	if of == r.large {
		select {
		case r.waiting <- struct{}{}:
			defer func() { <-r.waiting }()
		default:
			r.refused.Inc()
			return nil, errNoRoom
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.wait.get())
	defer cancel()
	if of.Acquire(ctx, bytes) != nil {
		r.refused.Inc()
		return nil, errNoRoom
	}
	return sync.OnceFunc(func() { of.Release(bytes) }), nil
}

// tryReserve is reserve without a wait.
func (r *room) tryReserve(bytes int64) (done func(), ok bool) {
	of, bytes := r.class(bytes)
	if !of.TryAcquire(bytes) {
		return nil, false
	}
	return sync.OnceFunc(func() { of.Release(bytes) }), true
}

// class is the room for so many bytes, and how much of it they are.
func (r *room) class(bytes int64) (of *semaphore.Weighted, counted int64) {
	bytes = max(bytes, leastManifest)
	if bytes <= smallManifest {
		return r.small, min(bytes, r.mostSmall)
	}
	return r.large, min(bytes, r.mostLarge)
}

// reserveForManifest makes room for a manifest of so many bytes, until the exchange ends. What is read out of it needs
// as much again.
func (x *exchange) reserveForManifest(bytes int64) error {
	done, err := x.proxy.room.reserve(x.ctx, 2*bytes)
	if err == nil {
		x.reserved = append(x.reserved, done)
	}
	return err
}

// releaseRoom gives back all that was reserved for this exchange.
func (x *exchange) releaseRoom() {
	for _, done := range x.reserved {
		done()
	}
}
