package proxy

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxBrokenOff bounds what is remembered of requests whose clients were cut off.
const maxBrokenOff = 4096

// brokenOff remembers which requests ended in a broken connection, because that is what most clients try again after. A
// client that comes with the same one again gets an answer.
type brokenOff struct {
	life changingDuration
	seed maphash.Seed // Static.

	mu sync.Mutex
	at *simplelru.LRU[uint64, time.Time] // by the request's hash, since a path may be long. Guarded by mu.
}

func newBrokenOff(life time.Duration) *brokenOff {
	b := &brokenOff{seed: maphash.MakeSeed(), at: newLRU[uint64, time.Time](maxBrokenOff)}
	b.life.set(life)
	return b
}

// first reports whether what was not broken off within life.
func (b *brokenOff) first(what string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := maphash.String(b.seed, what)
	last, known := b.at.Get(key)
	b.at.Add(key, now)
	return !known || now.Sub(last) >= b.life.get()
}

// due is first for what goes on: it reports once in each life, however often it is asked.
func (b *brokenOff) due(what string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := maphash.String(b.seed, what)
	if last, known := b.at.Get(key); known && now.Sub(last) < b.life.get() {
		return false
	}
	b.at.Add(key, now)
	return true
}
