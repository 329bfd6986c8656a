package proxy

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxLost bounds what is remembered of requests whose clients were cut off.
const maxLost = 4096

// lost remembers which requests ended in a broken connection, because that is what most clients try again after. A client
// that comes with the same one again gets an answer.
type lost struct {
	life time.Duration // Static.
	seed maphash.Seed  // Static.

	mu sync.Mutex
	at *simplelru.LRU[uint64, time.Time] // by the request's hash, since a path may be long. Guarded by mu.
}

func newLost(life time.Duration) *lost {
	return &lost{life: life, seed: maphash.MakeSeed(), at: newLRU[uint64, time.Time](maxLost)}
}

// first reports whether what was not lost within life.
func (l *lost) first(what string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := maphash.String(l.seed, what)
	last, known := l.at.Get(key)
	l.at.Add(key, now)
	return !known || now.Sub(last) >= l.life
}

// due is first for what goes on: it reports once in each life, however often it is asked.
func (l *lost) due(what string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := maphash.String(l.seed, what)
	if last, known := l.at.Get(key); known && now.Sub(last) < l.life {
		return false
	}
	l.at.Add(key, now)
	return true
}
