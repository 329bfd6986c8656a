package proxy

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxRecent bounds each table of references, in entries of at most some 400 bytes.
const maxRecent = 16_384

// reference is a tag or digest of a repository.
type reference struct{ repository, name string }

// recent remembers what went through this gateway of late about tags: what each was pushed as, and where it was
// resolved to which digest.
type recent struct {
	mu       sync.Mutex
	pushed   *simplelru.LRU[reference, pushed]   // by tag. Guarded by mu.
	resolved *simplelru.LRU[reference, resolved] // by digest. Guarded by mu.
}

// pushed is what a tag was pushed as.
type pushed struct {
	digest  string
	replica string // that accepted it
	at      time.Time
}

type resolved struct {
	replica string
	until   time.Time
}

// followLife is how long after a tag was resolved its digest is asked for at the same place: clients do so at once.
const followLife = time.Minute

func newRecent() *recent {
	return &recent{pushed: newLRU[reference, pushed](maxRecent), resolved: newLRU[reference, resolved](maxRecent)}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	lru, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return lru
}

func (r *recent) push(tag reference, p pushed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pushed.Add(tag, p)
}

// current is what a tag was pushed as, if that was not before since.
func (r *recent) current(tag reference, since time.Time) (p pushed, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok = r.pushed.Get(tag)
	if !ok || p.at.Before(since) {
		return pushed{}, false
	}
	return p, true
}

// forget: the tag itself was deleted.
func (r *recent) forget(tag reference) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pushed.Remove(tag)
}

// resolve notes that replica said a tag to be this digest.
func (r *recent) resolve(digest reference, replica string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resolved.Add(digest, resolved{replica, now.Add(followLife)})
}

// follow is the replica that lately resolved a tag to this digest, "" if none did.
func (r *recent) follow(digest reference, now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, ok := r.resolved.Get(digest)
	if !ok || now.After(got.until) {
		return ""
	}
	return got.replica
}
