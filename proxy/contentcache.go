package proxy

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxKept is how large the content of an upload may be, in bytes, that is kept until it is safe without: configs,
// signatures and small layers, at what a request may cost.
const maxKept = 1 << 20

// keptOverhead is what one content needs beside its bytes and its key, which bounds their number, too.
const keptOverhead = 512

// contentCache keeps what clients have uploaded lately, by name, so that it can be sent again where the replica that
// took it is lost. What was touched last stays longest.
type contentCache struct {
	most int64            // bytes, of what is kept and of bodies under way. Static after newContentCache.
	life changingDuration // of what nobody touches

	mu    sync.Mutex
	taken int64 // by bodies under way. Guarded by mu, as all below.
	kept  int64
	of    *simplelru.LRU[string, keptContent]
	sweep *time.Timer // forgets what has ended; nil: nothing is kept
}

type keptContent struct {
	content []byte // never written to
	last    time.Time
}

func newContentCache(most int64, life time.Duration) *contentCache {
	c := &contentCache{most: most}
	c.life.set(life)
	forgotten := func(name string, k keptContent) { c.kept -= sizeOfKept(name, k.content) }
	of, err := simplelru.NewLRU(int(max(most/keptOverhead, 1)), forgotten)
	if err != nil {
		panic(err) // only for a size below one
	}
	c.of = of
	return c
}

func sizeOfKept(name string, content []byte) int64 {
	return int64(cap(content)) + int64(len(name)) + keptOverhead
}

// take makes room for so many bytes of a body under way, at the cost of what was kept longest.
func (c *contentCache) take(bytes int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.makeRoom(bytes) {
		return false
	}
	c.taken += bytes
	return true
}

func (c *contentCache) give(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken -= bytes
}

// makeRoom needs mu.
func (c *contentCache) makeRoom(bytes int64) bool {
	if c.taken+bytes > c.most {
		return false
	}
	for c.taken+c.kept+bytes > c.most {
		c.of.RemoveOldest()
	}
	return true
}

// put keeps content, in the place of what has that name, if there is room. The content must not change any more.
func (c *contentCache) put(name string, content []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of.Remove(name)
	size := sizeOfKept(name, content)
	if !c.makeRoom(size) {
		return
	}
	c.of.Add(name, keptContent{content, now})
	c.kept += size
	if c.sweep == nil {
		c.sweep = time.AfterFunc(c.life.get(), c.forgetOld)
	}
}

// get returns what is kept by a name, which may be no byte at all.
func (c *contentCache) get(name string, now time.Time) (content []byte, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, known := c.of.Get(name)
	if !known || now.Sub(k.last) >= c.life.get() {
		return nil, false
	}
	c.of.Add(name, keptContent{k.content, now})
	return k.content, true
}

func (c *contentCache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of.Remove(name)
}

// forgetOld forgets what nobody has touched for life, and comes again when the next may be due.
func (c *contentCache) forgetOld() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for {
		_, oldest, any := c.of.GetOldest()
		left := c.life.get() - now.Sub(oldest.last)
		switch {
		case !any:
			c.sweep = nil
			return
		case left > 0:
			c.sweep.Reset(left)
			return
		}
		c.of.RemoveOldest()
	}
}

// close forgets all.
func (c *contentCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of.Purge()
	if c.sweep != nil {
		c.sweep.Stop()
	}
}
