package proxy

import (
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

	mu sync.Mutex
	at *simplelru.LRU[string, time.Time] // Guarded by mu.
}

func newLost(life time.Duration) *lost {
	at, err := simplelru.NewLRU[string, time.Time](maxLost, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &lost{life: life, at: at}
}

// first reports whether what was not lost within life.
func (l *lost) first(what string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.at.Get(what)
	l.at.Add(what, now)
	return !known || now.Sub(last) >= l.life
}
