package proxy

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of a shelf. What one repository has pushes out nothing of another's.
const (
	maxShelves = 4096 // repositories
	maxOnShelf = 256  // references of one
)

// shelf remembers something of tags or digests, by repository.
type shelf[V any] struct {
	mu sync.Mutex
	of *simplelru.LRU[string, *simplelru.LRU[string, V]] // Guarded by mu.
}

// reference is a tag or digest of a repository.
type reference struct{ repository, name string }

func newShelf[V any]() *shelf[V] {
	return &shelf[V]{of: newLRU[string, *simplelru.LRU[string, V]](maxShelves)}
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	lru, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return lru
}

func (s *shelf[V]) get(r reference) (v V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of, known := s.of.Get(r.repository); known {
		return of.Get(r.name)
	}
	return v, false
}

// set puts a value in the place of the one that is there, if one is.
func (s *shelf[V]) set(r reference, v V) {
	s.change(r, func(V, bool) (V, bool) { return v, true })
}

func (s *shelf[V]) remove(r reference) {
	s.change(r, func(v V, _ bool) (V, bool) { return v, false })
}

// change replaces a value by what to makes of it, or removes it if to does not want to keep it.
func (s *shelf[V]) change(r reference, to func(v V, known bool) (V, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, ok := s.of.Get(r.repository)
	if !ok {
		of = newLRU[string, V](maxOnShelf)
	}
	v, keep := to(of.Get(r.name))
	if keep {
		of.Add(r.name, v)
		s.of.Add(r.repository, of)
		return
	}
	if of.Remove(r.name); of.Len() == 0 {
		s.of.Remove(r.repository)
	}
}

// any reports whether a value of the repository fits.
func (s *shelf[V]) any(repository string, fits func(V) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, ok := s.of.Peek(repository)
	if !ok {
		return false
	}
	for _, v := range of.Values() {
		if fits(v) {
			return true
		}
	}
	return false
}
